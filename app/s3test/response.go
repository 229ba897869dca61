package s3test

import (
	"encoding/xml"
	"fmt"
	"net/http"
	"strconv"
)

const xmlNamespace = "http://s3.amazonaws.com/doc/2006-03-01/"

// response is an answer not yet sent, so that a fault can still lose it.
type response struct {
	status int
	header http.Header
	body   []byte
}

func (a response) send(w http.ResponseWriter) {
	for name, values := range a.header {
		w.Header()[name] = values
	}
	if a.header.Get("Content-Length") == "" {
		w.Header().Set("Content-Length", strconv.Itoa(len(a.body)))
	}
	w.WriteHeader(a.status)
	// A client that has gone away is its own business.
	_, _ = w.Write(a.body)
}

func emptyResponse(status int) response { return response{status: status, header: http.Header{}} }

func xmlResponse(document any) response {
	body, err := xml.Marshal(document)
	if err != nil {
		panic(fmt.Sprintf("s3test: encode %T: %v", document, err))
	}
	return response{http.StatusOK, http.Header{"Content-Type": {"application/xml"}}, append([]byte(xml.Header), body...)}
}

// s3Error is a refusal as S3 words it: HTTP status and error code, as in the list of error responses of the S3 API reference.
type s3Error struct {
	status  int
	code    string
	message string
}

func (e *s3Error) Error() string { return fmt.Sprintf("%d %s: %s", e.status, e.code, e.message) }

// refuse is an s3Error with status 400, which most refusals have.
func refuse(code, format string, args ...any) error {
	return &s3Error{http.StatusBadRequest, code, fmt.Sprintf(format, args...)}
}

func (e *s3Error) response() response {
	answer := xmlResponse(struct {
		XMLName   xml.Name `xml:"Error"`
		Code      string
		Message   string
		RequestID string `xml:"RequestId"`
	}{Code: e.code, Message: e.message, RequestID: "TEST"})
	answer.status = e.status
	return answer
}

// element is an XML element whose name is decided at run time, such as ChecksumCRC32.
type element struct {
	XMLName xml.Name
	Value   string `xml:",chardata"`
}
