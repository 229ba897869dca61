package e2e

import (
	"fmt"
	"image/color"
	"image/png"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// chromium opens an address in a headless browser, and returns the page after its layout.
func chromium(t *testing.T, address string, flags ...string) string {
	t.Helper()
	arguments := append([]string{"--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--user-data-dir=" + t.TempDir(), "--virtual-time-budget=2000", "--dump-dom"}, flags...)
	page, err := exec.CommandContext(t.Context(), "chromium", append(arguments, address)...).Output()
	if err != nil {
		t.Fatal(err)
	}
	return string(page)
}

// The status page in a real browser: it shows the state of the service, in light and dark, at the width of a telephone and of a
// large screen, and contains no UID.
func TestStatusPageInABrowser(t *testing.T) {
	long(t)
	if _, err := exec.LookPath("chromium"); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skip("no chromium: make test-all installs it")
	}
	s3 := startS3(t)
	s := startService(t, s3, "RETRYTIME=1s")
	stored, lost := instance{serial: 1, pixelBytes: 5000}, instance{serial: 2, pixelBytes: 5000}
	if got := s.mustDo(t, "/studies", contentType, whole(t, stored)); got.status != http.StatusOK {
		t.Fatalf("status %d", got.status)
	}
	admin := "http://" + s.admin + "/"
	if page := chromium(t, admin); !strings.Contains(page, "<title>ready: stowrs</title>") {
		t.Errorf("the page is %s", page)
	}
	for scheme, want := range map[string]color.RGBA{"1": {0xf3, 0xf5, 0xf8, 0xff}, "0": {0x12, 0x16, 0x1c, 0xff}} { // light and dark, from status.css
		picture := filepath.Join(t.TempDir(), "page.png")
		chromium(t, admin, "--blink-settings=preferredColorScheme="+scheme, "--window-size=1280,900", "--screenshot="+picture)
		if got := corner(t, picture); got != want {
			t.Errorf("colour scheme %s: the page is painted %v, want %v: the style sheet is not used", scheme, got, want)
		}
	}

	s3.http.Close()
	if got := s.mustDo(t, "/studies", contentType, whole(t, lost)); got.status != http.StatusServiceUnavailable {
		t.Errorf("without S3: status %d", got.status)
	}
	page := chromium(t, admin)
	if !strings.Contains(page, "<title>degraded: stowrs</title>") || !strings.Contains(page, "AWS_ENDPOINT_URL_S3") {
		t.Errorf("without S3 the page is %s", page)
	}
	if strings.Contains(page, "2.25.") {
		t.Errorf("the page names a UID: %s", page)
	}
	// The longest lines are those of errors: none is wider than the page.
	for _, width := range []int{320, 800, 1280, 1920} {
		if got := chromium(t, framed(t, admin, width)); !strings.Contains(got, fmt.Sprintf("<body>%d</body>", width)) {
			t.Errorf("%d pixels wide: it takes %s", width, got)
		}
	}
}

// corner returns the colour of the first pixel of a picture.
func corner(t *testing.T, path string) color.RGBA {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	picture, err := png.Decode(f)
	if err != nil {
		t.Fatal(err)
	}
	return color.RGBAModel.Convert(picture.At(0, 0)).(color.RGBA)
}

// framed is the address of a page that shows another page in a frame of so many pixels, and then reports the width that it needs. The other page must
// allow frames, and be of the same origin.
func framed(t *testing.T, address string, width int) string {
	t.Helper()
	target, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	proxy := httputil.NewSingleHostReverseProxy(target)
	proxy.ModifyResponse = func(r *http.Response) error {
		r.Header.Del("Content-Security-Policy")
		return nil
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/frame" {
			proxy.ServeHTTP(w, r)
			return
		}
		w.Header().Set("Content-Type", "text/html")
		_, _ = io.WriteString(w, fmt.Sprintf(`<body><iframe src="/" style="border:0;width:%dpx;height:900px"
			onload="document.body.textContent = this.contentDocument.documentElement.scrollWidth"></iframe></body>`, width))
	}))
	t.Cleanup(server.Close)
	return server.URL + "/frame"
}
