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
		instances string // path:bytes
		count     int
		bytes     int64
		want      [][]string
	}{
		"by count":                  {"a:1 b:1 c:1 d:1 e:1", 2, 100, [][]string{{"a", "b"}, {"c", "d"}, {"e"}}},
		"by bytes":                  {"a:40 b:60 c:1 d:100", 10, 100, [][]string{{"a", "b"}, {"c"}, {"d"}}},
		"over the limit alone":      {"a:1 b:500 c:1", 10, 100, [][]string{{"a"}, {"b"}, {"c"}}},
		"nothing":                   {"", 2, 100, nil},
		"largest size, no overflow": {"a:9223372036854775807 b:9223372036854775807", 2, 9223372036854775807, [][]string{{"a"}, {"b"}}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBatches(test.count, test.bytes)
			for _, c := range candidates(t, test.instances) {
				if err := b.put(t.Context(), c); err != nil {
					t.Fatal(err)
				}
			}
			close(b.queue)
			var got [][]string
			for batch := b.take(t.Context()); batch != nil; batch = b.take(t.Context()) {
				var paths []string
				for _, c := range batch {
					paths = append(paths, c.path)
				}
				got = append(got, paths)
			}
			wantEqual(t, "batches", test.want, got)
		})
	}
}

func candidates(t *testing.T, text string) []candidate {
	t.Helper()
	var all []candidate
	for _, word := range strings.Fields(text) {
		path, bytes, _ := strings.Cut(word, ":")
		size, err := strconv.ParseInt(bytes, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, candidate{path: path, size: size})
	}
	return all
}

// Sending begins during the walk: a batch that is not full does not wait for the end of the walk.
func TestBatchesDoNotWaitForTheWalk(t *testing.T) {
	t.Parallel()
	b := newBatches(100, 1000)
	if err := b.put(t.Context(), candidate{path: "a", size: 1}); err != nil {
		t.Fatal(err)
	}
	wantEqual(t, "files", 1, len(b.take(t.Context())))
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

// Two files with the same SOP Instance UID are reported separately, although an answer cannot distinguish them.
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
