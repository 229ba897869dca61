"""Draws deployment-anonymous.png and deployment-clientauth.png with the icons of AWS: `make diagrams`.

They show what infra/stowrs creates for the two configurations of docs/aws.md. Places are inches, from the lower left corner.
"""

from os import chdir
from pathlib import Path

from diagrams import Diagram, Edge, Node
from diagrams.aws.compute import ElasticContainerServiceContainer as Container
from diagrams.aws.compute import ElasticContainerServiceTask as Task
from diagrams.aws.compute import EC2ContainerRegistry as Registry
from diagrams.aws.general import TraditionalServer as Client
from diagrams.aws.management import Cloudtrail, Cloudwatch
from diagrams.aws.network import VPC, Endpoint
from diagrams.aws.network import ElbNetworkLoadBalancer as LoadBalancer
from diagrams.aws.security import CertificateManager as Certificates
from diagrams.aws.security import KeyManagementService as Keys
from diagrams.aws.storage import SimpleStorageServiceS3Bucket as Bucket

INK, GREY, VIOLET, GREEN, BLUE, ORANGE = "#232f3e", "#5a6b86", "#8c4fff", "#3f8624", "#1565c0", "#c05a10"
FONT = {"fontname": "DejaVu Sans", "fontcolor": INK, "fontsize": "10"}

# 9 inches become 1800 pixels, which documents show at half that width.
PICTURE = {"layout": "neato", "splines": "line", "dpi": "200", "pad": "0.05", "margin": "0", "outputorder": "nodesfirst", **FONT}


def text(label, x, y, color=INK, size=10):
    Node(label, shape="plain", pos=f"{x},{y}!", width="0", height="0", fixedsize="false", style="", margin="0",
         **(FONT | {"fontcolor": color, "fontsize": str(size)}))


def frame(label, x, y, width, height, color, style="rounded"):
    """A frame from (x, y) to the right and upwards, with its label at the top."""
    Node("", shape="box", pos=f"{x + width / 2},{y + height / 2}!", width=str(width), height=str(height), style=style, color=color, penwidth="1.2")
    text(label, x + width / 2, y + height - 0.1 * (2 + label.count("\n")), color)


def icon(kind, label, x, y, size=0.62, above=False):
    """An icon with its middle at (x, y), and its label below or above it. Edges end at the icon."""
    if label:
        away = size / 2 + 0.08 * (label.count("\n") + 1) + 0.04
        text(label, x, y + away if above else y - away)
    return kind("", pos=f"{x},{y}!", width=str(size), height=str(size), shape="box", style="", penwidth="0", margin="0")


def point(x, y):
    """A place at which an edge begins."""
    return Node("", shape="point", pos=f"{x},{y}!", width="0", height="0", style="invis")


def arrow(label="", **more):
    return Edge(label=label, color=GREY, penwidth="1.3", arrowsize="0.8", **more)


def deployment(name, client_certificates):
    with Diagram("", filename=name, show=False, outformat="png", graph_attr=PICTURE):
        frame("", 1.3, 0.05, 5.55, 4.2, VIOLET)
        icon(VPC, "", 1.53, 4.02, 0.34)
        text("VPC, two zones", 2.3, 4.02, VIOLET)
        frame("public subnets", 1.42, 0.17, 1.5, 3.6, GREEN, "rounded,dashed")
        frame("subnets without a way to the internet", 3.1, 0.17, 2.95, 3.6, BLUE, "rounded,dashed")
        frame("", 3.25, 0.27, 1.65, 3.0, ORANGE)
        icon(Task, "", 3.5, 3.05, 0.3)
        text("Fargate task", 4.2, 3.05, ORANGE)

        client = icon(Client, "STOW-RS client\nwith a certificate" if client_certificates else "STOW-RS client", 0.62, 2.0)
        balancer = icon(LoadBalancer, "Network Load\nBalancer: admits\nAllowedPeers,\n" + ("passes TCP on" if client_certificates else "ends TLS"), 2.17, 2.0)
        nginx = icon(Container, "nginx: verifies\nthe certificate" if client_certificates else "nginx:\nTLS again", 4.08, 2.0, above=True)
        stowrs = icon(Container, "stowrs", 4.08, 0.8)
        text("HTTP", 4.35, 1.4)
        interfaces = icon(Endpoint, "endpoints of\nECR and logs", 5.48, 3.0)
        gateway = icon(Endpoint, "S3\nendpoint", 6.45, 0.8)
        registry = icon(Registry, "ECR: images", 7.6, 3.93)
        watch = icon(Cloudwatch, "CloudWatch: logs,\nalarms, dashboard", 7.6, 3.0)
        icon(Cloudtrail, "CloudTrail: each\naccess to objects", 8.97, 3.0)
        dicom = icon(Bucket, "DICOM", 7.6, 0.55 if client_certificates else 0.8)
        keys = icon(Keys, "KMS keys", 8.97, 1.0 if client_certificates else 0.8)

        client >> arrow() >> balancer >> arrow() >> nginx >> arrow() >> stowrs >> arrow() >> gateway >> arrow() >> dicom
        point(4.9, 3.0) >> arrow(style="dashed") >> interfaces
        interfaces >> arrow(style="dashed") >> registry
        interfaces >> arrow(style="dashed") >> watch
        dicom - arrow(style="dotted", dir="none") - keys
        if client_certificates:
            certificate = icon(Bucket, "certificate, key,\ntruststore.crt", 7.6, 1.45, above=True)
            nginx >> arrow(style="dashed") >> gateway >> arrow(style="dashed") >> certificate
            certificate - arrow(style="dotted", dir="none") - keys
        else:
            certificate = icon(Certificates, "certificate of ACM", 0.62, 3.4, above=True)
            certificate - arrow(style="dotted", dir="none") - balancer


chdir(Path(__file__).parent)
deployment("deployment-anonymous", client_certificates=False)
deployment("deployment-clientauth", client_certificates=True)
