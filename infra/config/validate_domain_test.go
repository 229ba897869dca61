package config

import (
	"strings"
	"testing"
)

// inZone sets name and zone of a deployment.
func inZone(c *Config) {
	c.LoadBalancer.DomainName, c.LoadBalancer.HostedZone = "stow.example.org", HostedZone{ID: "Z0123456789ABCDEFGHIJ", Name: "example.org"}
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
