package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"time"
)

// fetchTimeout bounds one look at the source. nginx starts without certificates
// when the first takes longer.
const fetchTimeout = 20 * time.Second

// keeper keeps nginx's files as the source has them, as long as they are good.
type keeper struct {
	settings   settings
	source     source // nil: CERT_MODE=ACM, nothing to look for
	nginx      *nginx
	version    nginxVersion
	status     *status
	log        *slog.Logger
	inUse      setting
	generation int
	refusals   map[string]refusal // by file: what nginx -t did not take, so that it is not asked each time
}

type refusal struct {
	setting setting
	problem problem
}

// begin writes the first generation: a self-signed certificate, and nobody to trust.
func (k *keeper) begin(ctx context.Context) error {
	selfSigned, err := newSelfSigned(time.Now())
	if err != nil {
		return err
	}
	k.refusals = map[string]refusal{}
	if err := k.apply(ctx, setting{pair: selfSigned}); err != nil {
		return err
	}
	k.status.set(ctx, k.inUse, k.settings.refusing(k.inUse), k.generation, nil)
	return nil
}

// keep looks at the source every CERT_REFRESH until ctx ends.
func (k *keeper) keep(ctx context.Context) {
	tick := time.NewTicker(k.settings.CertRefresh)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			k.refresh(ctx)
		}
	}
}

// refresh looks at the source once. The server's certificate and the trust are two
// sets, each taken or left as a whole: a bad truststore does not hold a renewed
// certificate back.
func (k *keeper) refresh(ctx context.Context) {
	var problems []problem
	if k.source != nil {
		fetching, cancel := context.WithTimeout(ctx, fetchTimeout)
		defer cancel()
		problems = k.refreshSet(ctx, fetching, k.refreshPair, certificateFile, keyFile)
		if k.settings.AuthMode == clientAuth {
			problems = append(problems, k.refreshSet(ctx, fetching, k.refreshTrust, truststoreFile, crlFile)...)
		}
		if ctx.Err() != nil {
			return // stopping
		}
	}
	k.status.set(ctx, k.inUse, k.settings.refusing(k.inUse), k.generation, compact(problems))
}

// refreshSet reads the files of a set, and takes them if they are good. It fails as
// a whole, so that no set is judged by half of its files. Files that are absent are
// not in the map.
func (k *keeper) refreshSet(ctx, fetching context.Context, take func(context.Context, map[string][]byte) []problem, names ...string) []problem {
	files := map[string][]byte{}
	for _, name := range names {
		content, err := k.source.read(fetching, name)
		if errors.Is(err, errAbsent) {
			continue
		}
		if err != nil {
			return []problem{asProblem(err)}
		}
		files[name] = content
	}
	return take(ctx, files)
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
		err = k.adopt(ctx, setting{checked, k.inUse.trust}, certificateFile)
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
		checked, more, err = checked.checkCRL(lists, k.inUse.trust, time.Now())
		problems = append(problems, more...)
	case k.settings.CRL == crlRequired:
		err = problem{crlFile, "it is not in " + k.source.place() + ", and CRL is required: nobody is let in who may be revoked", "put the revocation list of every CA there, or set CRL=optional"}
	case k.inUse.trust.crl != "":
		err = problem{crlFile, "it was in " + k.source.place() + ", and is gone", "put it back; to do without revocation, restart the sidecar"}
	}
	if err == nil {
		err = k.adopt(ctx, setting{k.inUse.pair, checked}, truststoreFile)
	}
	if err != nil {
		problems = append(problems, asProblem(err))
	}
	return problems
}

// adopt makes next what nginx serves. file is the one to blame when nginx does not take it.
func (k *keeper) adopt(ctx context.Context, next setting, file string) error {
	if next.same(k.inUse) {
		return nil
	}
	if known, found := k.refusals[file]; found && known.setting.same(next) {
		return known.problem
	}
	delete(k.refusals, file)
	err := k.apply(ctx, next)
	var refused *refusedError
	if errors.As(err, &refused) {
		p := problem{file, "nginx does not take it: " + refused.Error(), "mend what nginx names, and put the file again"}
		k.refusals[file] = refusal{next, p}
		return p
	}
	if err != nil {
		return problem{file, "it is good, but is not served: " + err.Error(), "see the records before this one; it is tried again every CERT_REFRESH"}
	}
	k.log.InfoContext(ctx, "certificates in use", "generation", k.generation, "certificate_not_after", next.pair.notAfter, "self_signed", next.pair.selfMade,
		"clients_verified", next.trust.certificates != "", "revocation_lists", next.trust.crl != "")
	return nil
}

// refusedError is what nginx -t says of files that have passed our own checks: a key too
// short for OpenSSL's security level, for example.
type refusedError struct{ err error }

func (e *refusedError) Error() string { return e.err.Error() }

// apply writes a generation, has nginx test it, and serves it if nginx runs.
func (k *keeper) apply(ctx context.Context, next setting) error {
	generation := k.generation + 1
	folder := k.settings.generationFolder(generation)
	if err := k.settings.writeGeneration(next, generation, k.version); err != nil {
		return err
	}
	if err := k.nginx.test(ctx, generation); err != nil {
		if ctx.Err() != nil {
			return ctx.Err() //nolint:wrapcheck // stopping
		}
		return errors.Join(&refusedError{err}, os.RemoveAll(folder))
	}
	if err := k.settings.switchTo(generation); err != nil {
		return err
	}
	if k.nginx.process != nil {
		err := k.nginx.reload(ctx, generation)
		if ctx.Err() != nil {
			return ctx.Err() //nolint:wrapcheck // stopping
		}
		k.status.reloaded(err)
		if err != nil {
			return errors.Join(err, k.settings.switchTo(k.generation))
		}
	}
	old := k.settings.generationFolder(k.generation)
	k.inUse, k.generation = next, generation
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
