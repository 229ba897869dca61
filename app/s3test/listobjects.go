package s3test

import (
	"encoding/xml"
	"maps"
	"slices"
	"strings"
	"time"
)

type listedObject struct {
	Key          string
	LastModified time.Time
	ETag         string
	Size         int64
	StorageClass string
}

type objectPage struct {
	XMLName               xml.Name `xml:"ListBucketResult"`
	KeyCount              int
	NextContinuationToken string `xml:",omitempty"`
	IsTruncated           bool
	Contents              []listedObject
}

// listObjects sorts by key. A continuation token is opaque to clients; here it contains the last key of the previous page.
func (s *Server) listObjects(c call) (response, error) {
	if c.Query.Get("list-type") != "2" {
		return response{}, notImplemented("a list of another version")
	}
	limit, err := pageSize(c.Query, "max-keys")
	if err != nil {
		return response{}, err
	}
	after, continued := strings.CutPrefix(c.Query.Get("continuation-token"), "after ")
	if c.Query.Has("continuation-token") && !continued {
		return response{}, refuse("InvalidArgument", "the continuation token provided is incorrect")
	}
	var page objectPage
	for _, key := range slices.Sorted(maps.Keys(s.objects)) {
		if !strings.HasPrefix(key, c.Query.Get("prefix")) || key <= after {
			continue
		}
		if len(page.Contents) == limit {
			page.IsTruncated, page.NextContinuationToken = true, "after "+page.Contents[limit-1].Key
			break
		}
		o := s.objects[key]
		page.Contents = append(page.Contents, listedObject{key, o.modified, o.etag, o.size, "STANDARD"})
	}
	page.KeyCount = len(page.Contents)
	return xmlResponse(page), nil
}
