package s3test_test

import (
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/google/go-cmp/cmp"

	"stowrs-to-s3/app/s3test"
)

func TestListMultipartUploadsPageByPage(t *testing.T) {
	srv := s3test.Start(t, bucket)
	client := srv.Client(t, once)
	var ids []string
	for _, key := range []string{"p/b", "p/a", "q/a", "p/b", "p/c", "p/b"} {
		ids = append(ids, *begin(t, client, key, nil).id)
	}
	inOrder := []string{ids[1], ids[0], ids[3], ids[5], ids[4], ids[2]} // by key, then by age
	if diff := cmp.Diff([]string{"p/a", "p/b", "p/b", "p/b", "p/c", "q/a"}, srv.OpenUploads()); diff != "" {
		t.Errorf("open uploads (-want +got):\n%s", diff)
	}
	for _, tc := range []struct {
		name, prefix string
		limit        int32
		want         []string
		pages        int
	}{
		{"one page", "", 1000, inOrder, 1},
		{"one by one", "", 1, inOrder, 6},
		{"two by two, within one key", "", 2, inOrder, 3},
		{"four, cut after a key", "", 4, inOrder, 2},
		{"prefix", "p/", 3, inOrder[:5], 2},
		{"a page that ends with the prefix", "p/", 5, inOrder[:5], 1},
		{"prefix of no key", "x", 1000, nil, 1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			in := &s3.ListMultipartUploadsInput{Bucket: aws.String(bucket), Prefix: &tc.prefix, MaxUploads: &tc.limit}
			var got []string
			pages := 0
			for pager := s3.NewListMultipartUploadsPaginator(client, in); pager.HasMorePages(); pages++ {
				page := must[*s3.ListMultipartUploadsOutput](t)(pager.NextPage(t.Context()))
				for _, u := range page.Uploads {
					got = append(got, *u.UploadId)
				}
			}
			if diff := cmp.Diff(tc.want, got); diff != "" || pages != tc.pages {
				t.Errorf("%d pages, want %d; uploads (-want +got):\n%s", pages, tc.pages, diff)
			}
		})
	}
}

// S3 API reference, ListMultipartUploads: key-marker alone skips its key; upload-id-marker alone is ignored.
func TestMarkersOfListMultipartUploads(t *testing.T) {
	srv := s3test.Start(t, bucket)
	client := srv.Client(t, once)
	first, second := begin(t, client, "a", nil), begin(t, client, "a", nil)
	third := begin(t, client, "b", nil)
	for _, tc := range []struct {
		name    string
		key, id *string
		want    []string
	}{
		{"key alone", aws.String("a"), nil, []string{*third.id}},
		{"key and id", aws.String("a"), first.id, []string{*second.id, *third.id}},
		{"id alone", nil, first.id, []string{*first.id, *second.id, *third.id}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			page := must[*s3.ListMultipartUploadsOutput](t)(client.ListMultipartUploads(t.Context(),
				&s3.ListMultipartUploadsInput{Bucket: aws.String(bucket), KeyMarker: tc.key, UploadIdMarker: tc.id}))
			var got []string
			for _, u := range page.Uploads {
				got = append(got, *u.UploadId)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("uploads (-want +got):\n%s", diff)
			}
		})
	}
}

func TestAgedUploadsLookOld(t *testing.T) {
	srv := s3test.Start(t, bucket)
	client := srv.Client(t, once)
	begin(t, client, "old", nil)
	srv.AgeUploads(8 * 24 * time.Hour)
	begin(t, client, "young", nil)
	page := must[*s3.ListMultipartUploadsOutput](t)(client.ListMultipartUploads(t.Context(),
		&s3.ListMultipartUploadsInput{Bucket: aws.String(bucket)}))
	days := map[string]int{}
	for _, u := range page.Uploads {
		days[*u.Key] = int(time.Since(*u.Initiated).Hours() / 24)
	}
	if diff := cmp.Diff(map[string]int{"old": 8, "young": 0}, days); diff != "" {
		t.Errorf("age in days (-want +got):\n%s", diff)
	}
}

func TestListParts(t *testing.T) {
	srv := s3test.Start(t, bucket)
	client := srv.Client(t, once)
	m := begin(t, client, "k", nil)
	for i := range 5 {
		if i == 3 {
			srv.AgeUploads(2 * time.Hour)
		}
		m.add(t, noise(10*(i+1), 1))
	}
	in := &s3.ListPartsInput{Bucket: aws.String(bucket), Key: &m.key, UploadId: m.id, MaxParts: aws.Int32(2)}
	var sizes []int64
	var hours []int // since LastModified
	for pager := s3.NewListPartsPaginator(client, in); pager.HasMorePages(); {
		page := must[*s3.ListPartsOutput](t)(pager.NextPage(t.Context()))
		for _, p := range page.Parts {
			sizes, hours = append(sizes, *p.Size), append(hours, int(time.Since(*p.LastModified).Hours()))
			if want := m.parts[*p.PartNumber-1]; *p.ETag != *want.ETag || *p.ChecksumCRC64NVME != *want.ChecksumCRC64NVME {
				t.Errorf("part %d: ETag or checksum is another", *p.PartNumber)
			}
		}
	}
	if diff := cmp.Diff([]int64{10, 20, 30, 40, 50}, sizes); diff != "" {
		t.Errorf("sizes (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]int{2, 2, 2, 0, 0}, hours); diff != "" {
		t.Errorf("age in hours (-want +got):\n%s", diff)
	}
}
