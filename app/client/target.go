package client

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strings"
)

// studiesPath matches the two resources that take a Store transaction (PS3.18 Table 10.5.1-1).
var studiesPath = regexp.MustCompile(`(^|/)studies(/[0-9][0-9.]*)?$`)

// target is the resource of --url: {base}/studies or {base}/studies/{study}, without a trailing
// slash. --url may also be the base alone, because STOW-RS services document different forms.
func (o Options) target() (*url.URL, error) {
	target, err := url.Parse(strings.TrimSpace(o.URL))
	if err != nil {
		return nil, errors.New("--url is not a URL; what is special in a user or a password has to be escaped, as %20 for a space") // err could contain a password
	}
	if (target.Scheme != "http" && target.Scheme != "https") || target.Hostname() == "" {
		return nil, fmt.Errorf("--url is %q, must be http://host… or https://host…", secretless(o.URL))
	}
	target.Fragment, target.RawFragment = "", ""
	path := strings.TrimRight(target.EscapedPath(), "/")
	if !studiesPath.MatchString(path) {
		path += "/studies"
	}
	if target.Path, err = url.PathUnescape(path); err != nil {
		return nil, fmt.Errorf("--url: %w", err)
	}
	target.RawPath = path
	return target, nil
}
