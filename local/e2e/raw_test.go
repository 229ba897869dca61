package e2e

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"
)

// What a client sends is repeated neither at length nor unescaped: answers and log records
// stay short, and no control character reaches a terminal.
func TestNothingLongOrRawIsEchoed(t *testing.T) {
	t.Parallel()
	for _, header := range []string{"Content-Type", "Content-Encoding", "Host", "X-Client-DN", "Accept", "X-Request-Id", "X-Real-Ip", "X-Forwarded-Proto", "X-Forwarded-Host", "Origin", "Content-Disposition"} {
		t.Run(header, func(t *testing.T) {
			t.Parallel()
			s3 := startS3(t)
			s := startService(t, s3, "TRUSTEDPROXY=127.0.0.1", "CORSORIGINS=https://viewer.example.org", "LOGLEVEL=DEBUG")
			for _, value := range []string{
				strings.Repeat("a", 900_000), strings.Repeat("a", 60_000), strings.Repeat("a", 6_000), strings.Repeat("\xc2\x9b", 10_000),
				`multipart/related; type="` + strings.Repeat("b", 20_000) + `"; boundary=x`, "gz\xc2\x9b31m\xc2\x85ip", "\x9b31m", "a\xe2\x80\xa8b\xe2\x80\xaeb",
			} {
				before := len(s.stderr.String())
				status, answer := s.rawHeader(t, header, value)
				if most := 4096; len(answer) > most {
					t.Errorf("%d bytes of %s: the answer (%d) has %d bytes", len(value), header, status, len(answer))
				}
				if raw := rawIn(answer); raw != "" {
					t.Errorf("%s %.20q: the answer has %q", header, value, raw)
				}
				<-time.After(20 * time.Millisecond) // the record is written after the answer
				for line := range strings.Lines(s.stderr.String()[before:]) {
					if most := 4096; len(line) > most {
						t.Errorf("%d bytes of %s: a log record has %d bytes: %.100s", len(value), header, len(line), line)
					}
					if raw := rawIn(line); raw != "" {
						t.Errorf("%s %.20q: a log record has %q", header, value, raw)
					}
				}
			}
		})
	}
}

// rawIn returns the part of a text that could act on a terminal: C0 and C1 controls except line ends,
// changes of the text direction, and bytes that are not UTF-8; "" if there is none.
func rawIn(text string) string {
	at := strings.IndexFunc(text, func(r rune) bool {
		return unicode.IsControl(r) && r != '\n' && r != '\r' || r == '\u2028' || r == '\u202e'
	})
	if at < 0 && !utf8.ValidString(text) {
		return "bytes that are no UTF-8"
	}
	if at < 0 {
		return ""
	}
	return text[at:min(len(text), at+10)]
}

// rawHeader posts a request with an unchanged header, and returns the whole answer.
func (s *service) rawHeader(t *testing.T, header, value string) (status int, answer string) {
	t.Helper()
	connection, err := net.Dial("tcp", s.address)
	if err != nil {
		t.Fatal(err)
	}
	defer connection.Close()
	connection.SetDeadline(time.Now().Add(10 * time.Second))
	lines := map[string]string{"Host": "e2e", "Content-Type": contentType, "Content-Length": fmt.Sprint(len(parts("x"))), "Connection": "close"}
	lines[header] = value
	var b strings.Builder
	b.WriteString("POST /studies HTTP/1.1\r\n")
	for name, value := range lines {
		b.WriteString(name + ": " + value + "\r\n")
	}
	go io.WriteString(connection, b.String()+"\r\n"+parts("x")) // it may be refused before its end
	content, _ := io.ReadAll(connection)                        // a reset can follow after the answer
	fmt.Sscanf(string(content), "HTTP/1.1 %d", &status)
	return status, string(content)
}

// RFC 9112 §6.1: with Content-Length and Transfer-Encoding, a server may refuse the request or use
// Transfer-Encoding, and must close the connection. A request hidden behind it is not served.
func TestRequestHiddenBehindTwoLengthsIsNotAnswered(t *testing.T) {
	t.Parallel()
	hidden := "OPTIONS /studies HTTP/1.1\r\nHost: e2e\r\n\r\n"
	content := parts("x")
	for _, headers := range []string{
		"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
		"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
		fmt.Sprintf("Content-Length: %d\r\nTransfer-Encoding: chunked\r\n", len(chunkOf(content))+5+len(hidden)),
		"Content-Length: 5\r\nContent-Length: 6\r\n",
		"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
		"Transfer-Encoding: identity, chunked\r\n",
		"Transfer-Encoding : chunked\r\n",
	} {
		t.Run(headers, func(t *testing.T) {
			t.Parallel()
			s3 := startS3(t)
			s := startService(t, s3)
			connection, err := net.Dial("tcp", s.address)
			if err != nil {
				t.Fatal(err)
			}
			defer connection.Close()
			connection.SetDeadline(time.Now().Add(5 * time.Second))
			go io.WriteString(connection, "POST /studies HTTP/1.1\r\nHost: e2e\r\nContent-Type: "+contentType+"\r\n"+headers+"\r\n"+chunkOf(content)+"0\r\n\r\n"+hidden+hidden)
			answer, err := io.ReadAll(connection)
			if network, ok := err.(net.Error); ok && network.Timeout() {
				t.Errorf("the connection stays open")
			}
			if answers := strings.Count(string(answer), "HTTP/1.1 "); answers != 1 {
				t.Errorf("%d answers, want 1:\n%.600s", answers, answer)
			}
		})
	}
}

// Only a trusted proxy can say whether TLS ends at a proxy.
func TestBaseURIIsThatOfTheProxy(t *testing.T) {
	for _, test := range []struct {
		name      string
		variables []string
		headers   []string
		scheme    string
	}{
		{"a trusted proxy", []string{"TRUSTEDPROXY=127.0.0.1"}, []string{"X-Forwarded-Proto: https"}, "https"},
		{"a trusted proxy that says nothing", []string{"TRUSTEDPROXY=127.0.0.1"}, nil, "http"},
		{"a trusted proxy that says nonsense", []string{"TRUSTEDPROXY=127.0.0.1"}, []string{"X-Forwarded-Proto: gopher"}, "http"},
		{"no trusted proxy", nil, []string{"X-Forwarded-Proto: https", "X-Forwarded-Ssl: on", "X-Url-Scheme: https", "X-Forwarded-Protocol: https"}, "http"},
		{"another trusted proxy", []string{"TRUSTEDPROXY=192.0.2.1"}, []string{"X-Forwarded-Proto: https"}, "http"},
	} {
		t.Run(test.name, func(t *testing.T) {
			s3 := startS3(t)
			s := startService(t, s3, test.variables...)
			for _, scheme := range []string{"http", "https"} {
				got := s.mustDo(t, "/studies", relatedJSON, composed(
					jsonPart(jsonOf("2.25.7", grey16(10, 10), reference("7FE00010", "OW", scheme+"://"+s.address+"/studies/1/b"))),
					bulkPart(octetStream, "/studies/1/b", pattern(200))), test.headers...)
				if !got.reportsStored("2.25.7") { // RFC 3986 §6.2: on the service's own host, a different scheme does not matter
					t.Errorf("%s as the scheme of the BulkDataURI: status %d %s %s", scheme, got.status, got.outcomes(), got.warnings())
				}
			}
			got, err := s.do(t.Context(), http.MethodOptions, "/studies", "", nil, 0, test.headers...)
			if err != nil {
				t.Fatal(err)
			}
			if want := `base="` + test.scheme + "://"; !strings.Contains(got.body, want) {
				t.Errorf("the WADL does not say %s: %.400s", want, got.body)
			}
		})
	}
}
