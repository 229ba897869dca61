package e2e

import (
	"bytes"
	"fmt"
	"net/http"
	"testing"

	"stowrs-to-s3/app/commitment/references"
	"stowrs-to-s3/app/storeresponse"
)

// 100,000 references with UIDs of 64 characters, the largest allowed request, fit into the default METADATALIMIT.
func TestLargestCommitmentRequest(t *testing.T) {
	s := serveReady(t, binaries.stowrs, startS3(t))
	asked := make([]references.Reference, 100_000)
	for i := range asked {
		asked[i] = references.Reference{
			SOPClassUID: "1.2.840.10008.5.1.4.1.1.2", SOPInstanceUID: fmt.Sprintf("1.%062d", i),
			Series: &references.Series{StudyInstanceUID: "1.1", SeriesInstanceUID: fmt.Sprintf("1.%062d", i/1000)},
		}
	}
	for _, mediaType := range []string{storeresponse.MediaTypeJSON, storeresponse.MediaTypeXML} {
		var body bytes.Buffer
		if err := references.Write(&body, mediaType, asked); err != nil {
			t.Fatal(err)
		}
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+s.address+"/commitment-requests/2.25.77", &body)
		if err != nil {
			t.Fatal(err)
		}
		r.Header = http.Header{"Content-Type": {mediaType}, "Accept": {mediaType}}
		response, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		module, err := references.Read(response.Body, mediaType, func(int64) error { return nil })
		response.Body.Close()
		if response.StatusCode != http.StatusOK || err != nil || len(module.All) != len(asked) {
			t.Errorf("%s: got %s, error %v, want an outcome for each", mediaType, response.Status, err)
		}
	}
}
