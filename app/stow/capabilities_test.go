package stow_test

import (
	"encoding/json"
	"encoding/xml"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/labstack/echo/v4"

	"stowrs-to-s3/app/stow"
)

// PS3.18 §8.9 and Annex H: one application element, one resources element with
// the base URL, and the resources of Table H-1 that this service has.
func TestRetrieveCapabilities(t *testing.T) {
	e := echo.New()
	e.OPTIONS("/", stow.NewHandler(stow.Handler{Config: stow.Config{Commitment: true}}).Options)
	server := httptest.NewServer(e)
	defer server.Close()
	for accept, mediaType := range map[string]string{
		"": "application/vnd.sun.wadl+xml", "application/vnd.sun.wadl+xml": "application/vnd.sun.wadl+xml", "application/json": "application/json",
	} {
		t.Run("Accept "+accept, func(t *testing.T) {
			r, err := http.NewRequestWithContext(t.Context(), http.MethodOptions, server.URL+"/", nil)
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("Accept", accept)
			response, err := http.DefaultClient.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			defer response.Body.Close()
			body, err := io.ReadAll(response.Body)
			if err != nil {
				t.Fatal(err)
			}
			if response.StatusCode != 200 || response.Header.Get("Content-Type") != mediaType || response.Header.Get("Allow") != "OPTIONS, POST" {
				t.Errorf("got %d, Content-Type %q, Allow %q", response.StatusCode, response.Header.Get("Content-Type"), response.Header.Get("Allow"))
			}
			type method struct {
				ID string `xml:"id,attr"`
			}
			var got struct {
				XMLName   xml.Name `xml:"http://wadl.dev.java.net/2009/02 application" json:"-"`
				Resources struct {
					Base     string `xml:"base,attr"`
					Resource []struct {
						Path     string   `xml:"path,attr"`
						Method   []method `xml:"method"`
						Resource []struct {
							Path   string   `xml:"path,attr"`
							Method []method `xml:"method"`
						} `xml:"resource"`
					} `xml:"resource"`
				} `xml:"resources"`
			}
			if mediaType == "application/json" {
				err = json.Unmarshal(body, &got)
			} else {
				err = xml.Unmarshal(body, &got)
			}
			var paths []string
			for _, outer := range got.Resources.Resource {
				for _, m := range outer.Method {
					paths = append(paths, outer.Path+" "+m.ID)
				}
				for _, inner := range outer.Resource {
					for _, m := range inner.Method {
						paths = append(paths, outer.Path+"/"+inner.Path+" "+m.ID)
					}
				}
			}
			want := []string{"studies StoreInstances", "studies/{study} StoreStudyInstances",
				"commitment-requests/{transactionUID} RequestStorageCommitment", "commitment-requests/{transactionUID} CheckStorageCommitmentResult"}
			if err != nil || got.Resources.Base != server.URL+"/" || !slices.Equal(paths, want) {
				t.Errorf("error %v, got %q, want %q from\n%s", err, paths, want, body)
			}
			if !strings.Contains(string(body), "application/dicom+xml") {
				t.Errorf("the media types of the answer are missing:\n%s", body)
			}
		})
	}
}
