package client

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"math/big"
	"net/http"
	"strings"
	"time"

	"stowrs-to-s3/app/commitment/references"
	"stowrs-to-s3/app/storeresponse"
)

// commit asks the service about a batch, and returns the instances that are stored. It repeats the request while the service is not
// available. An instance counts as stored only if the answer names it without a Failure Reason.
func (v *verifier) commit(ctx context.Context, batch []*asked) []*asked {
	for {
		trying, err := v.gate.pass(ctx)
		if err != nil {
			return nil
		}
		answer, module, err := v.ask(ctx, batch)
		verdict := v.judge(ctx, answer, module, err)
		if err := v.gate.report(trying, verdict); err != nil {
			v.stop(err)
			return nil
		}
		switch verdict.kind {
		case refused:
			v.stop(&refusal{verdict.why})
			return nil
		case settled:
			return v.settle(batch, module)
		case unsent:
			return nil
		}
	}
}

// judge decides what an exchange means for the run.
func (v *verifier) judge(ctx context.Context, a *answer, module *references.Module, err error) verdict {
	switch {
	case ctx.Err() != nil:
		return verdict{kind: unsent}
	case err != nil && (hopeless(err) || v.gate.goodAnswers() == 0 && misdirected(err)):
		return verdict{kind: refused, why: describeNoAnswer(err)}
	case err != nil:
		return verdict{kind: unavailable, why: describeNoAnswer(err)}
	case temporaryStatus(a.code):
		return verdict{kind: unavailable, why: describeAnswer(a), retryAfter: a.retryAfter(time.Now())}
	case a.code == http.StatusNotFound, a.code == http.StatusMethodNotAllowed:
		return verdict{kind: refused, why: "HTTP " + printable(a.status) + ": " + describeNoCommitment}
	case a.code == http.StatusAccepted:
		return verdict{kind: refused, why: describeLater}
	case a.code != http.StatusOK:
		return verdict{kind: refused, why: describeAnswer(a)}
	case len(a.body) > answerLimit:
		return verdict{kind: refused, why: describeLongAnswer}
	case module == nil:
		return verdict{kind: refused, why: "HTTP " + printable(a.status) + " without a Storage Commitment Response Module: nothing says what is stored"}
	}
	return verdict{kind: settled}
}

// ask makes one Request transaction (PS3.18 §13.4). The module is nil if the answer has none that can be used.
func (v *verifier) ask(ctx context.Context, batch []*asked) (*answer, *references.Module, error) {
	var all []references.Reference
	for _, a := range batch {
		all = append(all, references.Reference{Series: &references.Series{StudyInstanceUID: a.study, SeriesInstanceUID: a.series}, SOPInstanceUID: a.instance, SOPClassUID: a.class})
	}
	references.Sort(all)
	var body bytes.Buffer
	if err := references.Write(&body, storeresponse.MediaTypeJSON, all); err != nil {
		return nil, nil, err
	}
	transaction := newUID()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, v.base.JoinPath("commitment-requests", transaction).String(), &body)
	if err != nil {
		return nil, nil, err
	}
	request.Header.Set("Content-Type", storeresponse.MediaTypeJSON)
	request.Header.Set("Accept", storeresponse.MediaTypeJSON)
	request.Header.Set("User-Agent", "stowrs")
	if err := v.access.authorize(request); err != nil {
		return nil, nil, fmt.Errorf("%w: %w", errUnasked, err)
	}
	response, err := v.client.Do(request)
	if err != nil {
		return nil, nil, err
	}
	defer response.Body.Close()
	a := &answer{proto: response.Proto, status: response.Status, code: response.StatusCode, header: response.Header}
	if a.body, err = readWithin(responseTimeout, response.Body, answerLimit+1); err != nil {
		return nil, nil, fmt.Errorf("read the answer to HTTP %s: %w", a.status, err)
	}
	content := a.body
	a.hide(request.Header)
	if len(content) > answerLimit || a.code != http.StatusOK {
		return a, nil, nil
	}
	mediaType := storeresponse.MediaTypeJSON
	if strings.Contains(strings.ToLower(response.Header.Get("Content-Type")), "xml") {
		mediaType = storeresponse.MediaTypeXML
	}
	module, err := references.Read(bytes.NewReader(content), mediaType, func(int64) error { return nil })
	if err != nil || module.TransactionUID != "" && module.TransactionUID != transaction {
		return a, nil, nil // an answer without a module, or to another request
	}
	return a, module, nil
}

// settle reports the instances that are missing or not answered, and returns the others.
func (v *verifier) settle(batch []*asked, module *references.Module) (there []*asked) {
	type name struct{ study, series, instance string }
	reasons := make(map[name]storeresponse.Reason, len(module.All))
	failedAnywhere := map[string]storeresponse.Reason{} // by SOP Instance UID, for failures without study and series
	for _, r := range module.All {
		if r.Series == nil {
			failedAnywhere[r.SOPInstanceUID] = max(failedAnywhere[r.SOPInstanceUID], r.FailureReason)
			continue
		}
		n := name{r.Series.StudyInstanceUID, r.Series.SeriesInstanceUID, r.SOPInstanceUID}
		reasons[n] = max(reasons[n], r.FailureReason) // an instance that is listed as stored and as failed counts as failed
	}
	for _, a := range batch {
		reason, named := reasons[name{a.study, a.series, a.instance}]
		reason = max(reason, failedAnywhere[a.instance])
		switch {
		case !named && reason == 0:
			v.fail(a.path, "the answer does not name it")
		case reason == references.ReasonNoSuchInstance:
			v.missing(a, "the service has no such instance (0112)")
		case reason != 0:
			v.fail(a.path, "the service does not commit to it: "+reason.String()+" ("+reason.Hex()+")")
		default:
			there = append(there, a)
		}
	}
	return there
}

// newUID makes a unique UID from a random UUID (PS3.5 §B.2: 2.25. and the UUID as a decimal number).
func newUID() string {
	var id [16]byte
	_, _ = rand.Read(id[:]) // it never fails
	id[6], id[8] = id[6]&0x0f|0x40, id[8]&0x3f|0x80
	return "2.25." + new(big.Int).SetBytes(id[:]).String()
}
