package stowrs

import (
	"stowrs-to-s3/infra/config"
	"testing"
)

// Only the named principals may create an endpoint, and each endpoint must be accepted.
func TestEndpointService(t *testing.T) {
	got := of(t, existing)
	service := got.one(t, "AWS::EC2::VPCEndpointService", "")
	if service.get("AcceptanceRequired") != true {
		t.Error("endpoints are accepted by themselves")
	}
	if balancers := text(service.get("NetworkLoadBalancerArns")); balancers != `[{"Ref":"FrontLoadBalancerInternal0272E831"}]` {
		t.Errorf("it is the service of %s", balancers)
	}
	permissions := got.one(t, "AWS::EC2::VPCEndpointServicePermissions", "")
	if may := text(permissions.get("AllowedPrincipals")); may != `["arn:aws:iam::210987654321:root","arn:aws:iam::321098765432:role/imaging/pacs"]` {
		t.Errorf("may ask: %s", may)
	}
	if of := text(permissions.get("ServiceId")); of != `{"Ref":"FrontEndpointService07CDE04F"}` {
		t.Errorf("may ask of %s", of)
	}
	want := `{"Fn::Join":[".",["com.amazonaws.vpce",{"Ref":"AWS::Region"},{"Ref":"FrontEndpointService07CDE04F"}]]}`
	if name := text(got.Outputs["EndpointServiceName"].Value); name != want {
		t.Errorf("its name is %s, want %s", name, want)
	}
}

// AllowedPeers also applies to clients with PrivateLink, and the PROXY header (TestTargets) contains their address.
func TestAllowedPeersHoldForPrivateLink(t *testing.T) {
	each(t, func(t *testing.T, got template, cfg config.Config) {
		enforced := got.one(t, "AWS::ElasticLoadBalancingV2::LoadBalancer", "").get("EnforceSecurityGroupInboundRulesOnPrivateLinkTraffic")
		var want any
		if cfg.LoadBalancer.EndpointService.AllowedPrincipals != nil {
			want = "on"
		}
		if enforced != want {
			t.Errorf("rules for PrivateLink are %v, want %v", enforced, want)
		}
		if want == nil && len(got.all("AWS::EC2::VPCEndpointService")) > 0 {
			t.Error("there is an endpoint service that nobody has asked for")
		}
	})
}
