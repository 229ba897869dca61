package e2e

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// Metadata may refer to bulkdata for any attribute (PS3.18 §F.2.2), also for those that follow from the bit
// stream. In all these cases the service answers, keeps nothing
// of the request, and writes its audit record.
func TestBulkdataForDerivedAttributesHoldNothing(t *testing.T) {
	attributes := []string{"00280010 US", "00280011 US", "00280002 US", "00280004 CS", "00280100 US", "00280006 US", "00280008 IS", "00282110 CS"}
	const times = 5 // 40 requests in total: more than there are buffers of the smallest parts
	s3 := startS3(t)
	s := startService(t, s3)
	picture := jpegOf(t, 40, 60, 1)
	for n := range times {
		for _, attribute := range attributes {
			tag, vr, _ := strings.Cut(attribute, " ")
			body := composed(
				jsonPart(jsonOf("2.25.7", reference(tag, vr, "hole"), reference("7FE00010", "OB", "p"))),
				bulkPart("image/jpeg", "p", picture), bulkPart(octetStream, "hole", "\x28\x00"))
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			got, err := s.do(ctx, http.MethodPost, "/studies", relatedJSON, strings.NewReader(body), -1)
			cancel()
			if err != nil {
				t.Fatalf("attempt %d with %s as bulkdata is not answered: %v", n+1, tag, err)
			}
			if got.status >= 500 && n == 0 {
				t.Errorf("%s as bulkdata: status %d %s, want one that says what the sender has to mend", tag, got.status, got.body)
			}
		}
	}
	if got := len(s.transactions(t, times*len(attributes))); got != times*len(attributes) {
		t.Errorf("%d audit records for %d requests", got, times*len(attributes))
	}
	if panics := s.records("panic"); len(panics) > 0 {
		t.Errorf("%d panics, the first: %.2000v", len(panics), panics[0])
	}
	s.wantServed(t, 5*time.Second)
}

// The same with many connections at once, while ordinary clients store.
func TestOrdinaryRequestsAreServedDuringAttacksWithHoles(t *testing.T) {
	s3 := startS3(t)
	s := startService(t, s3)
	body := composed(
		jsonPart(jsonOf("2.25.7", reference("00280010", "US", "rows"), reference("7FE00010", "OB", "p"))),
		bulkPart("image/jpeg", "p", jpegOf(t, 40, 60, 1)), bulkPart(octetStream, "rows", "\x28\x00"))
	var clients sync.WaitGroup
	for range 40 {
		clients.Go(func() {
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
			defer cancel()
			s.do(ctx, http.MethodPost, "/studies", relatedJSON, strings.NewReader(body), -1)
		})
	}
	clients.Wait()
	s.wantServed(t, 5*time.Second)
	s.transactions(t, 43)
}
