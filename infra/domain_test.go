package main

import (
	"strings"
	"testing"
)

// ACM validates the name by a record in the zone, and the alarm of its end is about that certificate.
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
	if alarm := text(got.one(t, "AWS::CloudWatch::Alarm", "Alarmcertificateexpiry").get("Dimensions")); alarm != `[{"Name":"CertificateArn","Value":{"Ref":"Certificate4E7ABB08"}}]` {
		t.Errorf("the alarm is about %s", alarm)
	}
}

// The record is the load balancer's own name, without the "dualstack." that those of network load balancers do not have.
func TestRecord(t *testing.T) {
	private := deployments()[mTLS]
	inZone(&private)
	private.LoadBalancer.HostedZone.Private = true
	certificateThere := deployments()[acm]
	inZone(&certificateThere)
	for name, cfg := range map[string]Config{"requested certificate": deployments()[existing], "certificates from S3, private zone": private, "certificate that is there": certificateThere} {
		got, err := synthesised(cfg)
		if err != nil {
			t.Fatal(err)
		}
		record := got.one(t, "AWS::Route53::RecordSet", "")
		id := "LoadBalancerBE9EEC3A"
		if cfg.LoadBalancer.Scheme == Internal {
			id = "LoadBalancerInternal23F68082"
		}
		want := strings.ReplaceAll(`{"AliasTarget":{"DNSName":{"Fn::GetAtt":["LB","DNSName"]},"EvaluateTargetHealth":false,"HostedZoneId":{"Fn::GetAtt":["LB","CanonicalHostedZoneID"]}},`+
			`"HostedZoneId":"Z0123456789ABCDEFGHIJ","Name":"stow.example.org","Type":"A"}`, "LB", id)
		if is := text(record.Properties); is != want {
			t.Errorf("%s: got %s, want %s", name, is, want)
		}
		if requested := len(got.all("AWS::CertificateManager::Certificate")) == 1; requested != (cfg.Certificate.CertificateMode == ACM && cfg.Certificate.CertificateArn == "") {
			t.Errorf("%s: a certificate is requested: %v", name, requested)
		}
	}
}

// Each rule of name and zone, alone: the edit breaks nothing else.
func TestRulesOfTheDomain(t *testing.T) {
	requested := func(edit func(*LoadBalancerConfig)) func(*Config) {
		return func(c *Config) {
			c.Certificate.CertificateArn = ""
			edit(&c.LoadBalancer)
		}
	}
	domain := func(edit func(*LoadBalancerConfig)) func(*Config) { return func(c *Config) { edit(&c.LoadBalancer) } }
	for name, row := range map[string]struct {
		edit  func(*Config)
		field string
		want  string // value, rule and what to do
	}{
		"a zone without a name":       {domain(func(l *LoadBalancerConfig) { l.DomainName = "" }), "LoadBalancer.DomainName", "HostedZone is there for its record\n    write the name under which clients connect"},
		"a name without a zone":       {domain(func(l *LoadBalancerConfig) { l.HostedZone = HostedZone{} }), "LoadBalancer.HostedZone.ID", "is empty: without the zone the record of DomainName cannot be made\n    copy it from `aws route53 list-hosted-zones"},
		"a URL":                       {domain(func(l *LoadBalancerConfig) { l.DomainName = "https://stow.example.org" }), "LoadBalancer.DomainName", "is not the name of a host"},
		"any name":                    {domain(func(l *LoadBalancerConfig) { l.DomainName = "*.example.org" }), "LoadBalancer.DomainName", "is not the name of a host"},
		"a zone by its path":          {domain(func(l *LoadBalancerConfig) { l.HostedZone.ID = "/hostedzone/Z0123456789ABCDEFGHIJ" }), "LoadBalancer.HostedZone.ID", "without /hostedzone/"},
		"a zone with a dot":           {domain(func(l *LoadBalancerConfig) { l.HostedZone.Name = "example.org." }), "LoadBalancer.HostedZone.Name", "write it without a dot at its end, such as example.org"},
		"a name of another zone":      {domain(func(l *LoadBalancerConfig) { l.DomainName = "stow.notexample.org" }), "LoadBalancer.DomainName", "is not in the zone example.org\n    write a name that ends in .example.org"},
		"a certificate, private zone": {requested(func(l *LoadBalancerConfig) { l.HostedZone.Private = true }), "LoadBalancer.HostedZone.Private", "is a zone that ACM does not see"},
		"a certificate, long name":    {requested(func(l *LoadBalancerConfig) { l.DomainName = strings.Repeat("a", 53) + ".example.org" }), "LoadBalancer.DomainName", "has 65 characters, and a certificate can have 64"},
	} {
		t.Run(name, func(t *testing.T) {
			c := valid(t)
			inZone(&c)
			row.edit(&c)
			wantViolation(t, c, row.field, row.want)
		})
	}
}
