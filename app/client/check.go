package client

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"slices"
	"strings"
	"time"
)

// CheckOptions are the flags and arguments of `stowrs check --url`, as Options are those of send.
type CheckOptions struct {
	// URL of the service; empty: there is none to ask.
	URL string `arg:"--url" placeholder:"URL" help:"Service to check, as for stowrs send --url; the flags below belong to it."`

	CACert    string   `arg:"--cacert" placeholder:"FILE" help:"Certification authorities to trust instead of the system's (PEM)."`
	Cert      string   `arg:"--cert" placeholder:"FILE" help:"Client certificate with its chain (PEM)."`
	Key       string   `arg:"--key" placeholder:"FILE" help:"Private key of the client certificate (PEM)."`
	Insecure  bool     `arg:"--insecure" help:"Do not verify the certificate of the service. For tests only."`
	Header    []string `arg:"--header,separate" placeholder:"LINE" help:"Send 'Name: value' with each request; with @FILE: the lines of a file."`
	TokenFile string   `arg:"--token-file" placeholder:"FILE" help:"Send the content of FILE as Authorization: Bearer."`

	// Paths are the files and folders of which Check shows what would be sent; none: nothing is read.
	Paths []string `arg:"positional" placeholder:"PATH" help:"Read these files and folders, and show what would be sent."`
}

func (o CheckOptions) options() Options {
	paths := o.Paths
	if len(paths) == 0 {
		paths = []string{"."} // only for validate: it is not read
	}
	return Options{
		URL: o.URL, CACert: o.CACert, Cert: o.Cert, Key: o.Key, Insecure: o.Insecure, Header: o.Header, TokenFile: o.TokenFile,
		Accept: "json", Batch: 100, BatchBytes: 256 << 20, Parallel: 4, Attempts: 1, DryRun: true, Paths: paths,
	}
}

// checkTimeout limits each request of a check.
const checkTimeout = 30 * time.Second

// expiresSoon is how long before its end a certificate causes a warning.
const expiresSoon = 30 * 24 * time.Hour

// Check prints to stdout how a service answers, what to correct if it does not take instances, and
// what would be sent of o.Paths. It stores nothing. Give its results to ExitCode.
func Check(ctx context.Context, o CheckOptions, stdout, stderr io.Writer) (Summary, error) {
	options := o.options()
	if err := options.validate(); err != nil {
		return Summary{}, &UsageError{err}
	}
	target, err := options.target()
	if err != nil {
		return Summary{}, &UsageError{err}
	}
	client, err := newHTTPClient(options)
	if err != nil {
		return Summary{}, &UsageError{err}
	}
	defer client.CloseIdleConnections()
	c := &checker{options: options, url: target.String(), client: client, out: &lines{w: stdout}}
	c.out.print("service      " + urlOf(target))
	stopped := c.ask(ctx)
	if stopped != nil {
		c.out.print("it does not take instances: " + stopped.Error())
	} else {
		c.out.print("it takes instances, as far as a request without any can tell")
	}
	summary := Summary{Stopped: stopped}
	if len(o.Paths) > 0 {
		found, err := Send(ctx, options, stdout, stderr)
		found.Stopped = errors.Join(stopped, found.Stopped)
		return found, err
	}
	return summary, c.out.err
}

// checker asks one service.
type checker struct {
	options Options
	url     string
	client  *http.Client
	out     *lines

	asked bool  // the service asks for a client certificate
	unfit error // why the certificate of --cert does not match what the service asks for; nil: it matches
}

// ask returns why the service takes no instances: a *refusal, or an error that wraps errUnavailable; nil if it takes them.
func (c *checker) ask(ctx context.Context) error {
	transport, _ := c.client.Transport.(*http.Transport)
	c.observe(transport.TLSClientConfig)
	if c.options.Insecure {
		c.out.print(describeInsecure())
	}
	if c.options.Cert != "" {
		c.certificate("certificate", transport.TLSClientConfig.Certificates[0].Leaf)
	}
	capabilities, err := c.request(ctx, http.MethodOptions, "", nil)
	if err != nil {
		return err
	}
	text := "OPTIONS      HTTP " + printable(capabilities.status)
	if capabilities.code/100 != 2 {
		text += ": the service does not describe itself"
	}
	c.out.print(text)
	const boundary = "nothing"
	body := "--" + boundary + "--\r\n"
	var took []time.Duration
	var status string
	for range 5 {
		start := time.Now()
		a, err := c.request(ctx, http.MethodPost, `multipart/related; type="application/dicom"; boundary="`+boundary+`"`, strings.NewReader(body))
		if err != nil {
			return err
		}
		switch {
		case refusedStatus(a.code):
			return &refusal{describeAnswer(a) + remedyOf(a.code)}
		case temporaryStatus(a.code):
			return fmt.Errorf("%w: %s", errUnavailable, describeAnswer(a))
		}
		took, status = append(took, time.Since(start)), describeEmpty(a)
	}
	c.out.print("POST         " + status)
	slices.Sort(took)
	c.out.print(fmt.Sprintf("latency      %s, of %d requests without an instance: %s to %s", took[len(took)/2].Round(100*time.Microsecond), len(took),
		took[0].Round(100*time.Microsecond), took[len(took)-1].Round(100*time.Microsecond)))
	return nil
}

// describeEmpty describes the answer to a request without an instance, which should be 400 (PS3.18 Table 10.5.3-1).
func describeEmpty(a *answer) string {
	text := "HTTP " + printable(a.status)
	if a.code/100 == 5 {
		text += ": the service may fail with instances, too; ask who runs it"
	}
	return text
}

// observe records whether the service asks for a client certificate in the TLS handshake, and whether that of --cert matches.
func (c *checker) observe(config *tls.Config) {
	certificates := config.Certificates
	config.GetClientCertificate = func(info *tls.CertificateRequestInfo) (*tls.Certificate, error) {
		c.asked = true
		if len(certificates) == 0 {
			return new(tls.Certificate), nil
		}
		c.unfit = info.SupportsCertificate(&certificates[0])
		return &certificates[0], nil
	}
}

func (c *checker) request(ctx context.Context, method, contentType string, body io.Reader) (*answer, error) {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	var address net.Addr
	request, err := http.NewRequestWithContext(httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GotConn: func(info httptrace.GotConnInfo) { address = info.Conn.RemoteAddr() },
	}), method, c.url, body)
	if err != nil {
		return nil, err
	}
	if contentType != "" {
		request.Header.Set("Content-Type", contentType)
	}
	request.Header.Set("Accept", c.options.mediaType())
	request.Header.Set("User-Agent", "stowrs")
	if err := c.options.authorize(request); err != nil {
		return nil, &refusal{err.Error()}
	}
	if proxy, err := http.ProxyFromEnvironment(request); err == nil && proxy != nil && method == http.MethodOptions {
		c.out.print("proxy        " + proxy.Scheme + "://" + proxy.Host)
	}
	response, err := c.client.Do(request)
	if err != nil {
		return nil, c.noAnswer(err)
	}
	defer response.Body.Close()
	if method == http.MethodOptions {
		c.describeConnection(address, response.TLS)
	}
	a := &answer{proto: response.Proto, status: response.Status, code: response.StatusCode, header: response.Header}
	if a.body, err = io.ReadAll(io.LimitReader(response.Body, answerLimit)); err != nil {
		return nil, c.noAnswer(err)
	}
	a.parse()
	a.hide(request.Header)
	return a, nil
}

func (c *checker) noAnswer(err error) error {
	text := describeNoAnswer(err)
	switch {
	case c.asked && c.options.Cert == "":
		text += "; the service asks for a client certificate: --cert and --key"
	case c.asked && c.unfit != nil:
		text += "; the service asks for a client certificate of another authority than that of --cert"
	}
	if hopeless(err) || misdirected(err) {
		return &refusal{text}
	}
	return fmt.Errorf("%w: %s", errUnavailable, text)
}

func (c *checker) describeConnection(address net.Addr, state *tls.ConnectionState) {
	if address != nil {
		c.out.print("address      " + address.String())
	}
	if state == nil {
		c.out.print("TLS          none: what is sent can be read, and changed, on its way")
		return
	}
	c.out.print("TLS          " + tls.VersionName(state.Version) + ", " + tls.CipherSuiteName(state.CipherSuite))
	c.certificate("of service", state.PeerCertificates[0])
	switch {
	case !c.asked && c.options.Cert != "":
		c.out.print("client       the service does not ask for a certificate: that of --cert is not shown")
	case !c.asked:
		c.out.print("client       the service does not ask for a certificate")
	case c.options.Cert == "":
		c.out.print("client       the service asks for a certificate, and there is no --cert")
	default:
		c.out.print("client       the service asks for a certificate, and was shown that of --cert")
	}
}

// certificate prints the subject and the issuer of a certificate, and until when it is valid.
func (c *checker) certificate(what string, one *x509.Certificate) {
	text := fmt.Sprintf("%-12s %s, issued by %s, valid until %s", what, one.Subject, one.Issuer, one.NotAfter.UTC().Format(time.RFC3339))
	switch left := time.Until(one.NotAfter); {
	case left < 0:
		text += ": it has expired; renew it"
	case left < expiresSoon:
		text += ": renew it soon"
	}
	c.out.print(text)
}
