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

// fetchTimeout bounds one look at one set of files. nginx starts without certificates
// when the first takes longer.
const fetchTimeout = 10 * time.Second

// keeper keeps nginx's files as the source has them, as long as they are good.
type keeper struct {
	settings   settings
	source     source // nil: CERT_MODE=ACM, nothing to look for
	nginx      *nginx
	version    string // of nginx
	status     *status
	door       *door
	log        *slog.Logger
	inUse      setting
	newest     map[string]*x509.RevocationList // that were in use, by keyName: trust grows by no older one
	generation int                             // that is in use
	written    int                             // the last one that was written: none is used twice
	wanted     chan request                    // looks that somebody asked for
	lock       *os.File                        // of RUN_FOLDER, as long as this process lives
}

// request is what a signal asks for.
type request struct {
	kick bool // end what began before the last change of certificates, too
}

// begin writes the first generation: a self-signed certificate, and nobody to trust.
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

// keep looks at the source every CERT_REFRESH, and when it is asked to, until ctx ends.
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

// set is one that is taken or left as a whole: a bad truststore does not hold a renewed certificate
// back, nor does one of them that hangs the other.
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
		return // stopping
	}
	k.status.set(ctx, k.inUse, k.settings.refusing(k.inUse), k.generation, compact(slices.Concat(problems...)))
}

// fetch reads the files of a set. It fails as a whole, so that no set is judged by half of its files. Files that are absent are
// not in the map.
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

// compact drops a problem that both sets have: a source that does not answer.
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

// adopt makes next, of these files, what nginx serves. file is the one to blame when nginx does not take it, which is asked
// at each look: what it says may be of something else, such as a name that was not resolved, and a revocation must not wait for other bytes.
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

// refusedError is what nginx -t says of files that have passed our own checks: a key too
// short for OpenSSL's security level, for example.
type refusedError struct{ words string }

func (e *refusedError) Error() string { return e.words }

// apply writes a generation, has nginx test it, and serves it if nginx runs.
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
	k.door.trusts(next.trust) // both the old and the new must let a client in meanwhile
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

// asProblem finds the problem in an error. Errors that are none have no file to blame.
func asProblem(err error) problem {
	var p problem
	if errors.As(err, &p) {
		return p
	}
	return problem{"RUN_FOLDER", err.Error(), "check that RUN_FOLDER is writable and not full"}
}
