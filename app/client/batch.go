package client

// batches groups instances into requests of at most maxCount instances and maxBytes
// bytes, in the order given. An instance over maxBytes gets a request of its own.
// No request holds two instances with one SOP Instance UID: the answer names
// instances by that UID alone, so it could not be told which of the two was stored
// (PS3.18 Table I.1-1). The second goes to a later request.
func batches(instances []*instance, maxCount int, maxBytes int64) [][]*instance {
	var all [][]*instance
	var sizes []int64
	earliest := make(map[string]int) // by SOP Instance UID: first request without one of that name
	current := 0                     // requests before this one are closed
	for _, i := range instances {
		n := max(current, earliest[i.sopInstanceUID])
		for n < len(all) && (len(all[n]) >= maxCount || i.size > maxBytes-sizes[n]) {
			if n == current {
				current++
			}
			n++
		}
		if n == len(all) {
			all, sizes = append(all, nil), append(sizes, 0)
		}
		all[n] = append(all[n], i)
		sizes[n] += i.size
		earliest[i.sopInstanceUID] = n + 1
	}
	return all
}
