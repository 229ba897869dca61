package client

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/binary"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/minio/crc64nvme"
)

// Archives of all kinds are verified like folders: each instance in them, by its UIDs and by its bytes.
// An archive that cannot be read to its end is never reported as completely stored.
func TestVerifyArchives(t *testing.T) {
	t.Parallel()
	objects := map[string]string{} // CRC64NVME of each instance, as S3 writes it
	files := []named{{"README", []byte("text")}, {"cd/DICOMDIR", instanceBytes("1.99", 8)}}
	for n := range 30 {
		uid := "1." + strconv.Itoa(n+1)
		content := instanceBytes(uid, 600+n*40_000)
		crc := crc64nvme.New()
		_, _ = crc.Write(content)
		objects[uid] = base64.StdEncoding.EncodeToString(binary.BigEndian.AppendUint64(nil, crc.Sum64()))
		files = append(files, named{"study/" + uid + ".dcm", content})
	}
	// The bucket has no 1.7, and other bytes for 1.9.
	checksum := func(_ context.Context, _, _, instance string) (string, bool, error) {
		if instance == "1.9" {
			return "AAAAAAAAAAA=", true, nil
		}
		return objects[instance], instance != "1.7", nil
	}
	service := committing(t, "1.7")
	for name, content := range packed(t, files...) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			archive := filepath.Join(t.TempDir(), name)
			writeFile(t, archive, content)
			inside := archive + string(filepath.Separator) + filepath.Join("study", "1.")
			for _, tc := range []struct {
				what      string
				checksums bool
				want      Verified
				words     []string
			}{
				{"by UIDs", false, Verified{There: 29, Missing: 1, Skipped: 2}, []string{
					"missing    " + inside + "7.dcm", "skipped    " + filepath.Join(archive, "README") + ": not DICOM", "29 instances are stored, 1 missing",
				}},
				{"by bytes", true, Verified{There: 28, Missing: 1, Different: 1, Skipped: 2}, []string{"missing    " + inside + "7.dcm", "different  " + inside + "9.dcm"}},
			} {
				got, code, output := verifyWith(t, func(o *VerifyOptions) {
					if o.Paths, o.Checksums = []string{archive}, tc.checksums; tc.checksums {
						o.Checksum = checksum
					} else {
						o.URL = service.URL
					}
				})
				if got != tc.want || code != 1 {
					t.Errorf("%s: exit %d, %+v, want 1, %+v\n%s", tc.what, code, got, tc.want, output)
				}
				wantContains(t, tc.what, output, tc.words...)
			}
			writeFile(t, archive, content[:len(content)/2])
			got, code, output := verifyWith(t, func(o *VerifyOptions) { o.Paths, o.URL = []string{archive}, committing(t).URL })
			if code != 1 || got.Failed == 0 || strings.Contains(output, "not sent") {
				t.Errorf("half of it: exit %d, %+v\n%s", code, got, output)
			}
		})
	}
}

// A damaged file in a zip is reported, even if S3 has the same damaged bytes, because the zip contains a checksum.
func TestVerifyDamagedMember(t *testing.T) {
	t.Parallel()
	content := zipOf(t, 0, named{"1.dcm", instanceBytes("1.1", 600)})
	content[bytes.Index(content, []byte("DICM"))+500] ^= 1
	archive := filepath.Join(t.TempDir(), "a.zip")
	writeFile(t, archive, content)
	got, code, output := verifyWith(t, func(o *VerifyOptions) {
		o.Paths, o.Checksums = []string{archive}, true
		o.Checksum = func(context.Context, string, string, string) (string, bool, error) { return "AAAAAAAAAAA=", true, nil }
	})
	if code != 1 || got.Failed != 1 {
		t.Errorf("exit %d, %+v\n%s", code, got, output)
	}
	wantContains(t, "stdout", output, "not known  "+filepath.Join(archive, "1.dcm"), "does not have the checksum")
}
