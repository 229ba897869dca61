package s3test

import (
	"cmp"
	"encoding/xml"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// S3: a page has at most 1,000 uploads or parts.
const maxPage = 1000

type listedUpload struct {
	Key          string
	UploadID     string `xml:"UploadId"`
	Initiated    string
	StorageClass string
	Checksum     string `xml:"ChecksumAlgorithm,omitempty"`
	ChecksumType string `xml:",omitempty"`
}

type uploadPage struct {
	XMLName            xml.Name `xml:"ListMultipartUploadsResult"`
	Xmlns              string   `xml:"xmlns,attr"`
	Bucket             string
	Prefix             string
	KeyMarker          string
	UploadIDMarker     string `xml:"UploadIdMarker"`
	NextKeyMarker      string `xml:",omitempty"`
	NextUploadIDMarker string `xml:"NextUploadIdMarker,omitempty"`
	MaxUploads         int
	IsTruncated        bool
	Uploads            []listedUpload `xml:"Upload"`
}

// listMultipartUploads lists by key and, for one key, by age. Markers name the last upload of the page before; upload-id-marker
// counts only together with key-marker (S3 API reference, ListMultipartUploads).
func (s *Server) listMultipartUploads(c call) (response, error) {
	if err := s.ensureBucket(c); err != nil {
		return response{}, err
	}
	if c.Query.Get("delimiter") != "" {
		return response{}, &s3Error{http.StatusNotImplemented, "NotImplemented", "this server for tests lists uploads without a delimiter"}
	}
	limit, err := pageSize(c.Query, "max-uploads")
	if err != nil {
		return response{}, err
	}
	page := uploadPage{
		Xmlns: xmlNamespace, Bucket: c.bucket, Prefix: c.Query.Get("prefix"), MaxUploads: limit,
		KeyMarker: c.Query.Get("key-marker"), UploadIDMarker: c.Query.Get("upload-id-marker"),
	}
	sorted := slices.SortedFunc(maps.Values(s.uploads), func(a, b *upload) int {
		return cmp.Or(cmp.Compare(a.key, b.key), cmp.Compare(a.id, b.id))
	})
	for _, u := range sorted {
		after := page.KeyMarker == "" || u.key > page.KeyMarker ||
			u.key == page.KeyMarker && page.UploadIDMarker != "" && u.id > page.UploadIDMarker
		if u.bucket != c.bucket || !strings.HasPrefix(u.key, page.Prefix) || !after {
			continue
		}
		if len(page.Uploads) == limit {
			last := page.Uploads[limit-1]
			page.IsTruncated, page.NextKeyMarker, page.NextUploadIDMarker = true, last.Key, last.UploadID
			break
		}
		page.Uploads = append(page.Uploads, listedUpload{u.key, u.id, timestamp(u.initiated), "STANDARD", u.algorithm.name, u.sumType})
	}
	return xmlResponse(page), nil
}

type partPage struct {
	XMLName              xml.Name `xml:"ListPartsResult"`
	Xmlns                string   `xml:"xmlns,attr"`
	Bucket               string
	Key                  string
	UploadID             string `xml:"UploadId"`
	PartNumberMarker     int
	NextPartNumberMarker int `xml:",omitempty"`
	MaxParts             int
	IsTruncated          bool
	Parts                []partOfPage `xml:"Part"`
	ChecksumAlgorithm    string       `xml:",omitempty"`
	ChecksumType         string       `xml:",omitempty"`
}

type partOfPage struct {
	PartNumber   int
	LastModified string
	ETag         string
	Size         int
	Checksum     *element
}

func (s *Server) listParts(c call) (response, error) {
	u, err := s.findUpload(c)
	if err != nil {
		return response{}, err
	}
	limit, err := pageSize(c.Query, "max-parts")
	if err != nil {
		return response{}, err
	}
	marker := 0
	if text := c.Query.Get("part-number-marker"); text != "" {
		if marker, err = strconv.Atoi(text); err != nil {
			return response{}, refuse("InvalidArgument", "part-number-marker is not a number")
		}
	}
	page := partPage{
		Xmlns: xmlNamespace, Bucket: u.bucket, Key: u.key, UploadID: u.id, PartNumberMarker: marker, MaxParts: limit,
		ChecksumAlgorithm: u.algorithm.name, ChecksumType: u.sumType,
	}
	for _, number := range slices.Sorted(maps.Keys(u.parts)) {
		if number <= marker {
			continue
		}
		if len(page.Parts) == limit {
			page.IsTruncated, page.NextPartNumberMarker = true, page.Parts[limit-1].PartNumber
			break
		}
		p := u.parts[number]
		page.Parts = append(page.Parts, partOfPage{number, timestamp(p.modified), p.etag, len(p.body), p.sum.element()})
	}
	return xmlResponse(page), nil
}

// pageSize reads a page limit: absent is S3's maximum, and more than the maximum is the maximum.
func pageSize(query url.Values, name string) (int, error) {
	text := query.Get(name)
	if text == "" {
		return maxPage, nil
	}
	limit, err := strconv.Atoi(text)
	if err != nil || limit < 1 {
		return 0, refuse("InvalidArgument", "%s must be a number of 1 or more", name)
	}
	return min(limit, maxPage), nil
}

func timestamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }
