package s3test

import (
	"cmp"
	"encoding/xml"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

type listedUpload struct {
	Key       string
	UploadID  string `xml:"UploadId"`
	Initiated time.Time
}

type uploadPage struct {
	XMLName            xml.Name `xml:"ListMultipartUploadsResult"`
	NextKeyMarker      string   `xml:",omitempty"`
	NextUploadIDMarker string   `xml:"NextUploadIdMarker,omitempty"`
	IsTruncated        bool
	Uploads            []listedUpload `xml:"Upload"`
}

// listMultipartUploads sorts by key and, for the same key, by age. Markers name the last upload of the previous page; upload-id-marker
// is valid only together with key-marker (S3 API reference, ListMultipartUploads).
func (s *Server) listMultipartUploads(c call) (response, error) {
	limit, err := pageSize(c.Query, "max-uploads")
	if err != nil {
		return response{}, err
	}
	keyMarker, idMarker := c.Query.Get("key-marker"), c.Query.Get("upload-id-marker")
	var page uploadPage
	sorted := slices.SortedFunc(maps.Values(s.uploads), func(a, b *upload) int {
		return cmp.Or(cmp.Compare(a.key, b.key), cmp.Compare(a.id, b.id))
	})
	for _, u := range sorted {
		after := keyMarker == "" || u.key > keyMarker || u.key == keyMarker && idMarker != "" && u.id > idMarker
		if !strings.HasPrefix(u.key, c.Query.Get("prefix")) || !after {
			continue
		}
		if len(page.Uploads) == limit {
			last := page.Uploads[limit-1]
			page.IsTruncated, page.NextKeyMarker, page.NextUploadIDMarker = true, last.Key, last.UploadID
			break
		}
		page.Uploads = append(page.Uploads, listedUpload{u.key, u.id, u.initiated})
	}
	return xmlResponse(page), nil
}

type partPage struct {
	XMLName              xml.Name `xml:"ListPartsResult"`
	NextPartNumberMarker int      `xml:",omitempty"`
	IsTruncated          bool
	Parts                []partOfPage `xml:"Part"`
}

type partOfPage struct {
	PartNumber   int
	LastModified time.Time
	ETag         string
	Size         int64
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
	marker, _ := strconv.Atoi(c.Query.Get("part-number-marker")) // 0 without a marker
	var page partPage
	for _, number := range slices.Sorted(maps.Keys(u.parts)) {
		if number <= marker {
			continue
		}
		if len(page.Parts) == limit {
			page.IsTruncated, page.NextPartNumberMarker = true, page.Parts[limit-1].PartNumber
			break
		}
		p := u.parts[number]
		page.Parts = append(page.Parts, partOfPage{number, p.modified, p.etag(), p.size, p.sum.element()})
	}
	return xmlResponse(page), nil
}

// pageSize reads a page limit. Without one, and with a larger one, it is S3's maximum of 1,000.
func pageSize(query url.Values, name string) (int, error) {
	text := query.Get(name)
	if text == "" {
		return 1000, nil
	}
	limit, err := strconv.Atoi(text)
	if err != nil || limit < 1 {
		return 0, refuse("InvalidArgument", "%s must be a number of 1 or more", name)
	}
	return min(limit, 1000), nil
}
