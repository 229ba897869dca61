package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// Renovate finds the images in Dockerfiles and compose.yaml itself. For all others, expressions in renovate.json tell it where a version
// is: each expression must still match, and only the digest may be missing.
func TestRenovateFindsVersions(t *testing.T) {
	content, err := os.ReadFile("../renovate.json")
	if err != nil {
		t.Fatal(err)
	}
	var renovate struct {
		Extends        []string
		CustomManagers []struct {
			ManagerFilePatterns, MatchStrings []string
		}
	}
	if err := json.Unmarshal(content, &renovate); err != nil {
		t.Fatal(err)
	}
	if !slices.Contains(renovate.Extends, "docker:pinDigests") {
		t.Error("renovate.json pins no digests")
	}
	found := map[string][]string{}
	for _, manager := range renovate.CustomManagers {
		for _, pattern := range manager.ManagerFilePatterns {
			name := strings.ReplaceAll(strings.Trim(pattern, "/^$"), `\`, "")
			text, err := os.ReadFile(filepath.Join("..", name))
			if err != nil {
				t.Fatalf("renovate.json names %s: %v", name, err)
			}
			for _, match := range manager.MatchStrings {
				expression := regexp.MustCompile(match)
				for _, version := range expression.FindAllStringSubmatch(string(text), -1) {
					found[name] = append(found[name], version[expression.SubexpIndex("currentValue")])
				}
			}
		}
	}
	for name, want := range map[string]int{".env.example": 2, "Makefile": 4, "local/versitygw/Dockerfile": 1, ".ci/docker.sh": 1} {
		if len(found[name]) != want {
			t.Errorf("renovate.json finds the versions %q in %s, want %d", found[name], name, want)
		}
	}
}

// Each base image is an argument with a default, so that Renovate and mirrors can set it, and all files have the same default.
func TestBaseImages(t *testing.T) {
	dockerfiles := []string{"../app/Dockerfile", "../nginx/Dockerfile", "../local/versitygw/Dockerfile"}
	images := map[string]string{}
	for _, name := range dockerfiles {
		content, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, from := range regexp.MustCompile(`(?m)^FROM (?:--platform=\S+ )?(\S+)`).FindAllStringSubmatch(string(content), -1) {
			if from[1] != "scratch" && !regexp.MustCompile(`^\$\{[A-Z]+_IMAGE\}$`).MatchString(from[1]) {
				t.Errorf("%s: %s is no argument", name, from[0])
			}
		}
		for _, arg := range regexp.MustCompile(`(?m)^ARG ([A-Z]+_IMAGE)=(\S+)$`).FindAllStringSubmatch(string(content), -1) {
			if !regexp.MustCompile(`^docker\.io/\S+:[^\s@]+(@sha256:[0-9a-f]{64})?$`).MatchString(arg[2]) {
				t.Errorf("%s: %s is not an image with a tag, and at most a digest", name, arg[2])
			}
			if before := images[arg[1]]; before != "" && before != arg[2] {
				t.Errorf("%s: %s is %s, and elsewhere %s", name, arg[1], arg[2], before)
			}
			images[arg[1]] = arg[2]
		}
	}
	if len(images) != 2 {
		t.Errorf("got base images %q, want those of GO_IMAGE and NGINX_IMAGE", images)
	}
}

// compose.yaml pulls the same images as .env.example shows.
func TestImagesOfCompose(t *testing.T) {
	read := func(name, expression string) (images []string) {
		content, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, image := range regexp.MustCompile(expression).FindAllStringSubmatch(string(content), -1) {
			images = append(images, image[1])
		}
		return images
	}
	compose := read("../compose.yaml", `_IMAGE:-([^}]+)\}`)
	if example := read("../.env.example", `#[A-Z]+_IMAGE=(\S+)`); len(compose) != 2 || !slices.Equal(compose, example) {
		t.Errorf("compose.yaml has %q, .env.example %q", compose, example)
	}
}
