package config

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"reflect"
	"strconv"
	"strings"

	"github.com/caarlos0/env/v11"
)

// Environment is the process's environment in the form that Load needs.
func Environment() map[string]string { return env.ToMap(os.Environ()) }

// trimmed removes empty variables, which mean their default, and
// white space around values: files of variables (.env, task definitions) have both.
func trimmed(environment map[string]string) map[string]string {
	clean := make(map[string]string, len(environment))
	for name, value := range environment {
		if value = strings.TrimSpace(value); value != "" {
			clean[name] = value
		}
	}
	return clean
}

func compact(list []string) []string {
	var clean []string
	for _, s := range list {
		if s = strings.TrimSpace(s); s != "" {
			clean = append(clean, s)
		}
	}
	return clean
}

// readable turns an error of the env library into one that names the variable.
func readable(err error, environment map[string]string, variables map[string]bool) error {
	var parse env.ParseError
	if !errors.As(err, &parse) {
		return err
	}
	field, _ := reflect.TypeFor[Config]().FieldByName(parse.Name)
	variable := field.Tag.Get("env")
	variables[variable] = true
	rule := parse.Err.Error()
	switch field.Type.Kind() { //nolint:exhaustive // the others explain themselves
	case reflect.Bool:
		rule = "must be true or false"
	case reflect.Int:
		rule = "must be a whole number"
	}
	if field.Type.String() == "time.Duration" {
		rule = "must be a duration, such as 110s or 2m"
	}
	return Violation{Variable: variable, Value: environment[variable], Rule: rule}
}

// Print writes every variable with its effective value, in the order of the documentation.
func (c Config) Print(w io.Writer) {
	value := reflect.ValueOf(c)
	for i := range value.NumField() {
		fmt.Fprintf(w, "%-21s %v\n", value.Type().Field(i).Tag.Get("env"), valueText(value.Field(i).Interface()))
	}
}

func valueText(value any) string {
	if list, ok := value.([]string); ok {
		return strings.Join(list, ",")
	}
	return fmt.Sprint(value)
}

// Variables are the names of all variables, in the order of the documentation.
func Variables() []string {
	var names []string
	for field := range reflect.TypeFor[Config]().Fields() {
		names = append(names, field.Tag.Get("env"))
	}
	return names
}

func isAddress(s string) bool {
	_, port, err := net.SplitHostPort(s)
	if err != nil {
		return false
	}
	n, err := strconv.Atoi(port)
	return err == nil && n >= 0 && n <= 65535
}
