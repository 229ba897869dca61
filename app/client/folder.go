package client

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
)

// folderWindow is how many entries of one folder are kept in memory. A folder with
// more is read again for each further window, so that the order is lexical on every file
// system and the memory is still bounded.
const folderWindow = 1 << 15

// entry is one entry of a folder.
type entry struct {
	name string
	kind fs.FileMode // type bits only
}

// readFolder returns, in lexical order, the first limit entries whose names follow after;
// more means that there are others behind them. Together with an error there may be entries.
func readFolder(path, after string, limit int) (entries []entry, more bool, err error) {
	folder, err := os.Open(path) //nolint:gosec // the user names what is read
	if err != nil {
		return nil, false, err
	}
	defer folder.Close()
	keepFirst := func() {
		slices.SortFunc(entries, func(a, b entry) int { return strings.Compare(a.name, b.name) })
		if len(entries) > limit {
			clear(entries[limit:])
			entries, more = entries[:limit], true
		}
	}
	for {
		some, err := folder.ReadDir(512)
		for _, e := range some {
			if e.Name() > after {
				entries = append(entries, entry{name: e.Name(), kind: e.Type()})
			}
		}
		if len(entries) >= 2*limit {
			keepFirst()
		}
		if err != nil {
			keepFirst()
			if errors.Is(err, io.EOF) {
				err = nil
			}
			return entries, more, err
		}
	}
}
