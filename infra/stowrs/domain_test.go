package stowrs

import (
	"strings"
	"testing"

	"stowrs-to-s3/infra/config"
)

// ACM validates the name by a record in the zone, and the alarm about the expiry watches this certificate.
func TestCertificateIsRequested(t *testing.T) {
	got := of(t, existing)
	certificate := got.one(t, "AWS::CertificateManager::Certificate", "")
	for property, want := range map[string]string{
		"DomainName": `"stow.example.org"`, "ValidationMethod": `"DNS"`,
		"DomainValidationOptions": `[{"DomainName":"stow.example.org","HostedZoneId":"Z0123456789ABCDEFGHIJ"}]`,
	} {
		if is := text(certificate.get(property)); is != want {
			t.Errorf("%s is %s, want %s", property, is, want)
		}
	}
	if alarm := text(got.one(t, "AWS::CloudWatch::Alarm", "Alarmcertificateexpiry").get("Dimensions")); alarm != `[{"Name":"CertificateArn","Value":{"Ref":"FrontCertificate80916DB9"}}]` {
		t.Errorf("the alarm is about %s", alarm)
	}
}

// The record points to the name of the load balancer without "dualstack.", which network load balancers do not have.
func TestRecord(t *testing.T) {
	private := deployments()[mTLS]
	inZone(&private)
	private.LoadBalancer.HostedZone.Private = true
	certificateThere := deployments()[acm]
	inZone(&certificateThere)
	for name, cfg := range map[string]config.Config{"requested certificate": deployments()[existing], "certificates from S3, private zone": private, "certificate that is there": certificateThere} {
		got, err := synthesised(cfg)
		if err != nil {
			t.Fatal(err)
		}
		record := got.one(t, "AWS::Route53::RecordSet", "")
		id := "FrontLoadBalancer09A37305"
		if cfg.LoadBalancer.Scheme == config.Internal {
			id = "FrontLoadBalancerInternal0272E831"
		}
		want := strings.ReplaceAll(`{"AliasTarget":{"DNSName":{"Fn::GetAtt":["LB","DNSName"]},"EvaluateTargetHealth":false,"HostedZoneId":{"Fn::GetAtt":["LB","CanonicalHostedZoneID"]}},`+
			`"HostedZoneId":"Z0123456789ABCDEFGHIJ","Name":"stow.example.org","Type":"A"}`, "LB", id)
		if is := text(record.Properties); is != want {
			t.Errorf("%s: got %s, want %s", name, is, want)
		}
		if requested := len(got.all("AWS::CertificateManager::Certificate")) == 1; requested != (cfg.Certificate.CertificateMode == config.ACM && cfg.Certificate.CertificateArn == "") {
			t.Errorf("%s: a certificate is requested: %v", name, requested)
		}
	}
}
