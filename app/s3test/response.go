package s3test

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"maps"
	"net/http"
	"strconv"
)

// response is an answer that is not yet sent, so that a fault can still drop it.
type response struct {
	status int
	header http.Header
	body   [][]byte // in pieces, one after the other
}

func (a response) send(w http.ResponseWriter) {
	maps.Copy(w.Header(), a.header)
	w.WriteHeader(a.status)
	for _, piece := range a.body {
		_, _ = w.Write(piece) // it fails only if the client has left
	}
}

// sendCut sends all but the last byte and closes the connection. Without a body, that byte belongs to the headers.
func (a response) sendCut(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		cut()
	}
	defer conn.Close()
	body := bytes.Join(a.body, nil)
	if a.header.Get("Content-Length") == "" { // HeadObject has set it
		a.header.Set("Content-Length", strconv.Itoa(len(body)))
	}
	answer := bytes.NewBufferString(fmt.Sprintf("HTTP/1.1 %d %s\r\n", a.status, http.StatusText(a.status)))
	_ = a.header.Write(answer) // a write to a bytes.Buffer never fails
	answer.WriteString("\r\n")
	answer.Write(body)
	_, _ = conn.Write(answer.Bytes()[:answer.Len()-1])
}

func emptyResponse(status int) response { return response{status: status, header: http.Header{}} }

func xmlResponse(document any) response {
	body, err := xml.Marshal(document)
	if err != nil {
		panic(fmt.Sprintf("s3test: encode %T: %v", document, err))
	}
	return response{http.StatusOK, http.Header{"Content-Type": {"application/xml"}}, [][]byte{[]byte(xml.Header), body}}
}

// s3Error is a refusal: HTTP status and error code, as in the list of error responses of the S3 API reference.
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

func notImplemented(what string) error {
	return &s3Error{http.StatusNotImplemented, "NotImplemented", "this server for tests does not know " + what}
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
