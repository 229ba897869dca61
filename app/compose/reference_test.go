package compose_test

import "testing"

// RFC 3986 §6.2: URIs that are equal after normalisation are the same. On the host of the
// request the scheme does not matter, because a proxy may have changed it.
func TestReferencesAreNormalised(t *testing.T) {
	for _, test := range []struct {
		base, uri, location string
		same                bool
	}{
		{"http://stow.example/studies", "p", "p", true},
		{"http://stow.example/studies", "p", "q", false},
		{"http://stow.example/studies", "p", "http://stow.example/p", true},
		{"http://stow.example/studies/1.2", "p", "/studies/p", true},
		{"http://stow.example/studies", "bulk/../p", "./p", true},
		{"http://stow.example/studies", "%7euser/%2Fa%2fb", "~user/%2fa%2Fb", true},
		{"http://stow.example/studies", "%2E%2E/a/p", "/a/p", true},
		{"http://stow.example/studies", "a%2Fb", "a/b", false},
		{"http://stow.example/studies", "P", "p", false},
		{"http://stow.example/studies", "http://PACS.example:80/b", "HTTP://pacs.example/b", true},
		{"http://stow.example/studies", "https://pacs.example:443/b", "https://pacs.example/b", true},
		{"http://stow.example/studies", "https://pacs.example:80/b", "https://pacs.example/b", false},
		{"http://stow.example/studies", "https://pacs.example/b", "http://pacs.example/b", false},
		{"http://stow.example/studies", "https://pacs.example", "https://pacs.example/", true},
		{"http://stow.example/studies", "https://stow.example/bulk/1", "/bulk/1", true},
		{"http://stow.example:80/studies", "https://STOW.example:443/bulk/1", "/bulk/1", true},
		{"https://stow.example/studies", "http://stow.example/bulk/1", "/bulk/1", true},
		{"https://stow.example/studies", "ftp://stow.example/bulk/1", "/bulk/1", false},
		{"http://stow.example:8080/studies", "https://stow.example/bulk/1", "/bulk/1", false},
		{"http://stow.example/studies", "urn:uuid:1", "urn:uuid:1", true},
		{"http://stow.example/studies", "bulk2.25.3:4%", " bulk2.25.3:4%", true},
		{"http://stow.example/studies", "p?a=1", "p?a=2", false},
	} {
		s := newService(t, 1<<20)
		s.base = test.base
		got := s.compose(t, multipart(jsonPart(jsonOf("1.1", reference("00420011", "OB", test.uri))), bulkPart(test.location, noise(10))))
		if same := got.outcomes() == "stored 1.1"; same != test.same {
			t.Errorf("%s and %s at %s: got %s", test.uri, test.location, test.base, got.outcomes())
		}
	}
}
