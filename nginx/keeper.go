package main

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"slices"
	"strings"
	"time"
)

// fetchTimeout limits how long one set of files is read. If the first reading takes longer, nginx
// starts without certificates.
const fetchTimeout = 10 * time.Second

// keeper updates the files of nginx from the source, if they pass the checks.
type keeper struct {
	settings   settings
	source     source // nil: CERT_MODE=ACM, which needs no files
	nginx      *nginx
	version    string // of nginx
	status     *status
	door       *door
	log        *slog.Logger
	inUse      setting
	newest     map[string]*x509.RevocationList // the newest lists that were in use, by keyName; older ones are refused
	generation int                             // in use
	written    int                             // the last generation that was written; no number is used twice
	wanted     chan request                    // from signals
	lock       *os.File                        // on RUN_FOLDER, as long as this process lives
}

// request is a request by a signal to look at the certificates.
type request struct {
	kick bool // also end the requests that began before the last change of certificates
}

// begin writes the first generation: a self-signed certificate, and an empty trust.
func (k *keeper) begin(ctx context.Context) error {
	selfSigned, err := newSelfSigned(time.Now())
	if err != nil {
		return err
	}
	if err := k.apply(ctx, setting{pair: selfSigned}); err != nil {
		return err
	}
	k.status.set(ctx, k.inUse, k.settings.refusing(k.inUse), k.generation, nil)
	return nil
}

// keep looks at the source every CERT_REFRESH, and after each request, until ctx ends.
func (k *keeper) keep(ctx context.Context) {
	tick := time.NewTicker(k.settings.CertRefresh)
	defer tick.Stop()
	for {
		var asked request
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case asked = <-k.wanted:
		}
		k.refresh(ctx)
		if asked.kick {
			n, err := k.nginx.endOldWorkers()
			k.log.WarnContext(ctx, "kicked: what began before the last change of certificates has ended", "workers", n, "error", err)
		}
	}
}

// set is a set of files that is used or refused as a whole. The sets are independent: an invalid truststore does not
// delay a renewed certificate, and a file that hangs does not delay the other set.
type set struct {
	names []string
	take  func(context.Context, map[string][]byte) []problem
}

// refresh looks at the source once.
func (k *keeper) refresh(ctx context.Context) {
	var sets []set
	if k.source != nil {
		sets = append(sets, set{[]string{certificateFile, keyFile}, k.refreshPair})
		if k.settings.AuthMode == clientAuth {
			sets = append(sets, set{[]string{truststoreFile, crlFile}, k.refreshTrust})
		}
	}
	problems := make([][]problem, len(sets))
	fetched := make(chan func(), len(sets))
	for n, s := range sets {
		go func() {
			files, err := k.fetch(ctx, s.names)
			fetched <- func() {
				if err != nil {
					problems[n] = []problem{asProblem(err)}
				} else {
					problems[n] = s.take(ctx, files)
				}
			}
		}()
	}
	for range sets {
		(<-fetched)()
	}
	if ctx.Err() != nil {
		return // certsync stops
	}
	k.status.set(ctx, k.inUse, k.settings.refusing(k.inUse), k.generation, compact(slices.Concat(problems...)))
}

// fetch reads the files of a set. If one fails, fetch fails, so that no set is checked with only some of its files. Files that are
// absent are not in the map.
func (k *keeper) fetch(ctx context.Context, names []string) (map[string][]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	files := map[string][]byte{}
	for _, name := range names {
		content, err := k.source.read(ctx, name)
		if errors.Is(err, errAbsent) {
			continue
		}
		if err != nil {
			return nil, err //nolint:wrapcheck // a problem
		}
		files[name] = content
	}
	return files, nil
}

// compact removes duplicates: both sets have the same problem if the source does not answer.
func compact(problems []problem) []problem {
	var different []problem
	for _, p := range problems {
		if !slices.Contains(different, p) {
			different = append(different, p)
		}
	}
	return different
}

func (k *keeper) refreshPair(ctx context.Context, files map[string][]byte) []problem {
	for _, name := range []string{certificateFile, keyFile} {
		if _, found := files[name]; !found {
			return []problem{{name, "it is not in " + k.source.place(), fmt.Sprintf("put %s (the full chain) and %s there", certificateFile, keyFile)}}
		}
	}
	checked, err := checkPair(files[certificateFile], files[keyFile], time.Now())
	if err == nil {
		err = k.adopt(ctx, setting{checked, k.inUse.trust}, certificateFile, files)
	}
	if err != nil {
		return []problem{asProblem(err)}
	}
	return nil
}

func (k *keeper) refreshTrust(ctx context.Context, files map[string][]byte) []problem {
	content, found := files[truststoreFile]
	if !found {
		return []problem{{truststoreFile, "it is not in " + k.source.place(), "put the CA certificates of the clients there, or their self-signed certificates, in PEM"}}
	}
	checked, problems, err := checkTruststore(content, time.Now())
	if err != nil {
		return append(problems, asProblem(err))
	}
	lists, found := files[crlFile]
	switch {
	case found:
		var more []problem
		checked, more, err = checked.checkCRL(lists, k.newest, time.Now())
		problems = append(problems, more...)
	case k.settings.CRL == crlRequired:
		err = problem{crlFile, "it is not in " + k.source.place() + ", and CRL is required: nobody is let in who may be revoked", "put the revocation list of every CA there, or set CRL=optional"}
	case k.inUse.trust.crl != "":
		err = problem{crlFile, "it was in " + k.source.place() + ", and is gone", "put it back; to do without revocation, restart the sidecar"}
	}
	if err == nil {
		err = k.adopt(ctx, setting{k.inUse.pair, checked}, truststoreFile, files)
	}
	if err != nil {
		problems = append(problems, asProblem(err))
	}
	return problems
}

// adopt makes nginx serve next, which was read from files. If nginx refuses it, the problem names file. nginx is asked again at
// each look, although the files are the same, because the cause may be something else, such as a name that could not be resolved.
func (k *keeper) adopt(ctx context.Context, next setting, file string, files map[string][]byte) error {
	if next.same(k.inUse) {
		return nil
	}
	before := k.inUse
	err := k.apply(ctx, next)
	var refused *refusedError
	if errors.As(err, &refused) {
		return problem{file, "nginx does not take it: " + refused.Error(), "mend what nginx names, and put the file again"}
	}
	if err != nil {
		return problem{file, "it is good, but is not served: " + err.Error(), "see the records before this one; it is tried again every CERT_REFRESH"}
	}
	k.record(ctx, before, files)
	return nil
}

// refusedError is the message of nginx -t about files that have passed our own checks, for example a key that is too
// short for OpenSSL's security level.
type refusedError struct{ words string }

func (e *refusedError) Error() string { return e.words }

// apply writes a generation, lets nginx test it, and makes nginx serve it if it runs.
func (k *keeper) apply(ctx context.Context, next setting) error {
	k.written++
	generation := k.written
	folder := k.settings.generationFolder(generation)
	if err := k.settings.writeGeneration(next, generation); err != nil {
		return err
	}
	if err := k.nginx.test(ctx, generation); err != nil {
		if ctx.Err() != nil {
			return ctx.Err() //nolint:wrapcheck // stopping
		}
		return errors.Join(&refusedError{strings.ReplaceAll(err.Error(), folder+"/", "")}, os.RemoveAll(folder))
	}
	if err := k.settings.switchTo(generation); err != nil {
		return err
	}
	k.door.trusts(next.trust) // until the reload is done, a client needs the old trust of nginx and the new trust of the door
	if k.nginx.process.Load() != nil {
		err := k.nginx.reload(ctx, generation)
		if ctx.Err() != nil {
			return ctx.Err() //nolint:wrapcheck // stopping
		}
		k.status.reloaded(err)
		if err != nil {
			k.door.trusts(k.inUse.trust)
			return errors.Join(err, k.settings.switchTo(k.generation), os.RemoveAll(folder))
		}
	}
	old := k.settings.generationFolder(k.generation)
	k.inUse, k.generation = next, generation
	maps.Copy(k.newest, next.trust.lists)
	if err := os.RemoveAll(old); err != nil { // nginx has read it
		return fmt.Errorf("remove an old generation: %w", err)
	}
	return nil
}

// asProblem returns the problem in an error. Any other error is a problem of RUN_FOLDER.
func asProblem(err error) problem {
	var p problem
	if errors.As(err, &p) {
		return p
	}
	return problem{"RUN_FOLDER", err.Error(), "check that RUN_FOLDER is writable and not full"}
}
