package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// PS3.18 §10.5.1.4: the URI of a frame contains its number. Frames are stored in
// this order or not at all, never in the order in which they arrive.
func TestFramesAreStoredInTheirOrder(t *testing.T) {
	a, b, c := jpegOf(t, 40, 60, 1), jpegOf(t, 40, 60, 7), jpegOf(t, 40, 60, 13)
	image := jsonOf("2.25.7", number("00280008", "IS", 3), reference("7FE00010", "OB", "p"))
	frame := func(n int, content string) bodyPart {
		return bulkPart("image/jpeg", fmt.Sprintf("p/frames/%d", n), content)
	}
	for _, test := range []struct {
		name  string
		parts []bodyPart
		right bool // the request contains all frames, in order
	}{
		{"1, 2, 3", []bodyPart{frame(1, a), frame(2, b), frame(3, c)}, true},
		{"not numbered", []bodyPart{bulkPart("image/jpeg", "p", a), bulkPart("image/jpeg", "p", b), bulkPart("image/jpeg", "p", c)}, true},
		{"3, 1, 2", []bodyPart{frame(3, c), frame(1, a), frame(2, b)}, false},
		{"1, 3, 2", []bodyPart{frame(1, a), frame(3, c), frame(2, b)}, false},
		{"1, 1, 2", []bodyPart{frame(1, a), frame(1, a), frame(2, b)}, false},
		{"1, 2, 7", []bodyPart{frame(1, a), frame(2, b), frame(7, c)}, false},
		{"0, 1, 2", []bodyPart{frame(0, a), frame(1, b), frame(2, c)}, false},
		{"1, 2", []bodyPart{frame(1, a), frame(2, b)}, false},
		{"1, 2, 3, 4", []bodyPart{frame(1, a), frame(2, b), frame(3, c), frame(4, a)}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			s3 := startS3(t)
			s := startService(t, s3)
			got := s.mustDo(t, "/studies", relatedJSON, composed(append([]bodyPart{jsonPart(image)}, test.parts...)...))
			content, stored := s3.object(keyOf("2.25.7"))
			inOrder := strings.HasSuffix(string(content), encapsulated(a, b, c))
			switch {
			case stored != got.reportsStored("2.25.7"):
				t.Errorf("stored: %v, and the answer says %d %s", stored, got.status, got.outcomes())
			case stored && !inOrder:
				t.Errorf("status %d, and what is stored is not frames 1, 2, 3", got.status)
			case test.right && !stored:
				t.Errorf("status %d %s %s; want it stored", got.status, got.outcomes(), got.warnings())
			case !stored && got.warnings() == "":
				t.Errorf("no Warning says what is wrong")
			}
		})
	}
}

// Each frame must be a picture like the first: not an HTML page of a proxy, not empty, not
// truncated, and not of another size.
func TestEveryFrameIsLookedAt(t *testing.T) {
	a := jpegOf(t, 40, 60, 1)
	for _, test := range []struct{ name, frame string }{
		{"an HTML page", "<html>502 Bad Gateway</html>"},
		{"nothing", ""},
		{"30 bytes of a JPEG", a[:30]},
		{"a JPEG of another size", jpegOf(t, 80, 60, 1)},
		{"bytes", pattern(5000)},
	} {
		t.Run(test.name, func(t *testing.T) {
			s3 := startS3(t)
			s := startService(t, s3)
			got := s.mustDo(t, "/studies", relatedJSON, composed(
				jsonPart(jsonOf("2.25.7", number("00280008", "IS", 2), reference("7FE00010", "OB", "p"))),
				bulkPart("image/jpeg", "p", a), bulkPart("image/jpeg", "p", test.frame)))
			if want := "failed 2.25.7 C000"; got.status != http.StatusConflict || got.outcomes() != want {
				t.Errorf("status %d, %s; want 409, %s", got.status, got.outcomes(), want)
			}
			s3.wantExactly(t)
			if got.warnings() == "" {
				t.Error("no Warning says what is wrong")
			}
		})
	}
}
