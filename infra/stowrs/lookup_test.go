package stowrs

import (
	"strings"
	"testing"
)

// Nothing is looked up at synth, which needs no credentials: also where CDK knows the account.
func TestNoZoneIsLookedUp(t *testing.T) {
	for name, zones := range map[string][]string{"zones": {"us-east-1b", "us-east-1c"}, "no zones": nil} {
		t.Run(name, func(t *testing.T) {
			cfg := deployments()[acm]
			cfg.Account, cfg.Network.AvailabilityZones = "123456789012", zones
			if manifest := string(synthesisedFile(t, cfg, "manifest.json")); strings.Contains(manifest, `"missing"`) {
				t.Errorf("the manifest has a look-up: %s", manifest)
			}
			template := string(synthesisedFile(t, cfg, cfg.AppName+".template.json"))
			want := "Fn::GetAZs"
			if zones != nil {
				want = zones[1]
			}
			if !strings.Contains(template, want) || strings.Contains(template, "not looked up") {
				t.Errorf("the template has no %s, or what stands for zones", want)
			}
		})
	}
}
