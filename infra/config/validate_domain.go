package config

import (
	"fmt"
	"regexp"
	"strings"
)

var (
	hostedZoneID = regexp.MustCompile(`^Z[A-Z0-9]{1,31}$`)
	domainName   = regexp.MustCompile(`^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)
)

// commonNameMax is the longest first name of a certificate.
// https://docs.aws.amazon.com/acm/latest/APIReference/API_RequestCertificate.html
const commonNameMax = 64

// requestsCertificate says that the stack requests the certificate itself.
func (c Config) requestsCertificate() bool {
	return c.Certificate.CertificateMode == ACM && c.Certificate.CertificateArn == "" && c.LoadBalancer.HostedZone.ID != ""
}

// domain checks the name of the load balancer, its zone, and whether ACM can validate a certificate by it.
func (v *validation) domain(c Config) {
	const (
		nameField = "LoadBalancer.DomainName"
		zoneField = "LoadBalancer.HostedZone."
		find      = "copy it from `aws route53 list-hosted-zones --query 'HostedZones[].[Id,Name,Config.PrivateZone]' --output table`"
	)
	name, zone := c.LoadBalancer.DomainName, c.LoadBalancer.HostedZone
	if name == "" && zone == (HostedZone{}) {
		return
	}
	if v.rule(name != "", nameField, name, "is empty, and HostedZone is there for its record", "write the name under which clients connect, such as stow.example.org, or nothing into HostedZone") {
		v.rule(domainName.MatchString(name) && len(name) <= 253, nameField, name, "is not the name of a host: lower case letters, digits, hyphens and dots", "write one such as stow.example.org")
	}
	if !v.rule(zone.ID != "", zoneField+"ID", zone.ID, "is empty: without the zone the record of DomainName cannot be made", find+", or write nothing into DomainName and HostedZone") {
		return
	}
	v.rule(hostedZoneID.MatchString(zone.ID), zoneField+"ID", zone.ID, "is not the id of a hosted zone", find+", without /hostedzone/")
	if v.rule(domainName.MatchString(zone.Name), zoneField+"Name", zone.Name, "is not the name of a zone", "write it without a dot at its end, such as example.org; "+find) && name != "" {
		v.rule(name == zone.Name || strings.HasSuffix(name, "."+zone.Name), nameField, name, "is not in the zone "+zone.Name, "write a name that ends in ."+zone.Name+", or the zone of that name")
	}
	if !c.requestsCertificate() {
		return
	}
	v.rule(!zone.Private, zoneField+"Private", zone.Private, "is a zone that ACM does not see, so that it would never issue the certificate which an empty CertificateArn has the stack request",
		"write into CertificateArn one that is issued, of a public zone, an import or a private CA; or use a public zone, in which addresses of an Internal load balancer may be as well")
	v.rule(len(name) <= commonNameMax, nameField, name, fmt.Sprintf("has %d characters, and a certificate can have %d", len(name), commonNameMax), "shorten it, or write into CertificateArn one that has it as a further name")
}
