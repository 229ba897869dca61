package client

import (
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"stowrs-to-s3/app/storeresponse"
)

func TestBatches(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		instances string // UID:bytes
		count     int
		bytes     int64
		want      [][]string
	}{
		"by count":                  {"a:1 b:1 c:1 d:1 e:1", 2, 100, [][]string{{"a", "b"}, {"c", "d"}, {"e"}}},
		"by bytes":                  {"a:40 b:60 c:1 d:100", 10, 100, [][]string{{"a", "b"}, {"c"}, {"d"}}},
		"over the limit alone":      {"a:1 b:500 c:1", 10, 100, [][]string{{"a"}, {"b"}, {"c"}}},
		"one UID twice":             {"a:1 a:2 b:1", 10, 100, [][]string{{"a", "b"}, {"a"}}},
		"one UID often":             {"a:1 a:1 a:1 b:1 b:1", 10, 100, [][]string{{"a", "b"}, {"a", "b"}, {"a"}}},
		"duplicates fill up later":  {"a:1 a:1 b:1 c:1 d:1", 2, 100, [][]string{{"a", "b"}, {"a", "c"}, {"d"}}},
		"nothing":                   {"", 2, 100, nil},
		"largest size, no overflow": {"a:9223372036854775807 b:9223372036854775807", 2, 9223372036854775807, [][]string{{"a"}, {"b"}}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got [][]string
			for _, batch := range batches(parseInstances(t, test.instances), test.count, test.bytes) {
				var uids []string
				for _, i := range batch {
					uids = append(uids, i.sopInstanceUID)
				}
				got = append(got, uids)
			}
			wantEqual(t, "batches", test.want, got)
		})
	}
}

func parseInstances(t *testing.T, text string) []*instance {
	t.Helper()
	var all []*instance
	for _, word := range strings.Fields(text) {
		uid, bytes, _ := strings.Cut(word, ":")
		size, err := strconv.ParseInt(bytes, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, &instance{sopInstanceUID: uid, size: size})
	}
	return all
}

func TestSendInParallelBatches(t *testing.T) {
	t.Parallel()
	var uids []string
	for n := range 40 {
		uids = append(uids, fmt.Sprintf("1.%d", n))
	}
	folder := folderOf(t, uids...)
	r, s := sendTo(t, folder, func(o *Options) { o.Batch, o.Parallel = 3, 4 })
	wantCounts(t, r, 40, 0)
	wantEqual(t, "requests", 14, len(s.received()))
	s.wantByteExact(t, folder)
}

// Two files with one SOP Instance UID: each is told of apart, because the answer cannot.
func TestSameUIDTwice(t *testing.T) {
	t.Parallel()
	folder := folderOf(t, "1.1", "1.2")
	writeFile(t, filepath.Join(folder, "copy.dcm"), instanceBytes("1.1", 16))
	s := newService(t, storedAll, reasons(409, map[string]storeresponse.Reason{"1.1": 0x0111}))
	r := sendWith(t, s.URL, folder, nil)
	wantCounts(t, r, 2, 1)
	wantEqual(t, "UIDs sent", [][]string{{"1.1", "1.2"}, {"1.1"}}, s.sentUIDs())
	wantContains(t, "failure", r.failures()["copy.dcm"], "0111 duplicate SOP instance")
}
