package dicom

import "bytes"

// maxUIDBytes is the maximum length of a UID (PS3.5 §9.1).
const maxUIDBytes = 64

// maxValueBytes is how much of a UID's value is kept. It leaves room for padding,
// and shows that a value is too long.
const maxValueBytes = 2 * maxUIDBytes

// ValidUID says whether s is a UID as in PS3.5 §9.1: components of digits
// separated by single dots, 64 characters at most. It allows one thing that the standard
// forbids but many devices write: a component with leading zeros. A valid UID is
// safe as one element of a path or an object key: it is never "." or "..", and
// has no slash.
func ValidUID(s string) bool {
	if len(s) > maxUIDBytes {
		return false
	}
	digit := false // the last byte is one
	for i := range len(s) {
		switch c := s[i]; {
		case '0' <= c && c <= '9':
			digit = true
		case c == '.' && digit:
			digit = false
		default:
			return false
		}
	}
	return digit
}

// UID returns the value of an element of VR UI without trailing NUL (its padding, PS3.5 §6.2) and spaces
// (which some writers use instead). Of a value longer than 128 bytes it returns the beginning without
// trimming: trimming could make it a valid UID.
func UID(value []byte) string {
	if len(value) > maxValueBytes {
		return string(value[:maxValueBytes])
	}
	return string(bytes.TrimRight(value, "\x00 "))
}

// uid returns the value of an element with a UID.
func (h *head) uid(element *header) (string, error) {
	if element.length == undefinedLength {
		return "", damaged("undefined length, %s", element)
	}
	b, err := h.peek(element.value, int(min(element.length, maxValueBytes+1)))
	if err != nil {
		return "", failure(err, "inside a UID")
	}
	return UID(b), nil
}
