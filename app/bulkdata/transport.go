package bulkdata

import "bytes"

// elementary returns the video of an MPEG-2 transport stream (ISO/IEC 13818-1
// §2.4.3), its packets' headers taken out, because a sequence header may run over
// the end of a packet of 184 bytes. Other data are returned as they are: in a
// program stream packets are of kilobytes, and a sequence header begins one.
func elementary(head []byte) []byte {
	const sync, packetBytes = 0x47, 188
	first := 0
	switch { // with a time stamp in front of each packet (Blu-ray), a packet has 192 bytes
	case head[0] == sync && (len(head) <= packetBytes || head[packetBytes] == sync):
	case head[4] == sync && (len(head) <= packetBytes+8 || head[packetBytes+8] == sync):
		first = 4
	default:
		return head
	}
	var video []byte
	pid := -1
	for at := first; at+packetBytes <= len(head) && head[at] == sync; at += packetBytes + first {
		packet := head[at : at+packetBytes]
		payload := packet[4:]
		if packet[3]&0x20 != 0 { // an adaptation field
			payload = payload[min(1+int(payload[0]), len(payload)):]
		}
		if packet[3]&0x10 == 0 {
			continue
		}
		id := int(packet[1]&0x1F)<<8 | int(packet[2])
		// Stream ids of video are E0 to EF (Table 2-22).
		starts := packet[1]&0x40 != 0 && len(payload) > 3 && bytes.HasPrefix(payload, []byte{0, 0, 1}) && payload[3]>>4 == 0xE
		if pid < 0 && starts {
			pid = id
		}
		if id == pid {
			video = append(video, payload...)
		}
	}
	return video
}
