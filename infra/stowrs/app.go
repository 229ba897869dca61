package stowrs

import (
	"errors"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"strings"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/jsii-runtime-go"

	"stowrs-to-s3/infra/config"
)

// Synth is a whole CDK app: the stack of the environment that `-c environment=NAME` names; a single environment need not be named. Props
// are those of the app, nil with the cdk CLI, which provides the feature flags of cdk.json, and -c. The error has a text for people who edit the
// configuration; nothing panics.
func Synth(environments map[string]config.Config, props *awscdk.AppProps) error {
	var failed error
	err := guard(func() {
		app := awscdk.NewApp(props)
		var cfg config.Config
		if cfg, failed = choose(environments, app.Node().TryGetContext(jsii.String("environment"))); failed != nil {
			return
		}
		if _, failed = NewStack(app, cfg); failed == nil {
			app.Synth(nil)
		}
	})
	return errors.Join(err, failed)
}

// choose returns the configuration of the environment of that name, nil if none is named. The name comes as JSON.
func choose(environments map[string]config.Config, name any) (config.Config, error) {
	names := slices.Sorted(maps.Keys(environments))
	if len(names) == 0 {
		return config.Config{}, errors.New("infra/config.go has no environments: environments() must return one at least")
	}
	if name == nil && len(names) == 1 {
		name = names[0]
	}
	text, _ := name.(string)
	cfg, found := environments[text]
	if !found {
		given := "no environment is chosen"
		if name != nil {
			given = fmt.Sprintf("there is no environment %#v", name)
		}
		return cfg, fmt.Errorf("%s: infra/config.go has %s; choose one of them, as in: cdk deploy -c environment=%s", given, strings.Join(names, ", "), names[0])
	}
	return cfg, nil
}

// guard makes an error from an exception of CDK, with which jsii panics: its first line, without the stack trace of Node.js. A bug of this program
// remains a panic.
func guard(build func()) (err error) {
	defer func() {
		thrown := recover()
		if thrown == nil {
			return
		}
		if fault, is := thrown.(runtime.Error); is {
			panic(fault)
		}
		text, _, _ := strings.Cut(fmt.Sprint(thrown), "\n    at ")
		err = fmt.Errorf("CDK refuses this: %s", strings.TrimSpace(text))
	}()
	build()
	return nil
}
