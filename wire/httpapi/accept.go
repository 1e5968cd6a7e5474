package httpapi

import (
	"mime"
	"strconv"
	"strings"
)

// prefers says whether a client asks for media rather than for other (RFC 9110
// §12.5.1): it names media, or its type/*, and gives it a weight that is no lower
// than that of other. Who does not name it gets other: browsers and most clients
// take */*.
func prefers(lines []string, media, other string) bool {
	kind, _, _ := strings.Cut(media, "/")
	mentioned := false
	for _, line := range lines {
		mentioned = mentioned || strings.Contains(strings.ToLower(line), kind+"/")
	}
	if !mentioned {
		return false
	}
	weight, named := quality(lines, media)
	against, _ := quality(lines, other)
	return named && weight > 0 && weight >= against
}

// quality is the weight of a media type: that of the most specific range which
// matches it. named says that this range is more than */*. Ranges that cannot be
// read are passed over.
func quality(lines []string, media string) (weight float64, named bool) {
	kind, _, _ := strings.Cut(media, "/")
	best := 0
	for _, line := range lines {
		for part := range strings.SplitSeq(line, ",") {
			name, params, err := mime.ParseMediaType(part)
			if err != nil {
				continue
			}
			rank := 0
			switch name {
			case media:
				rank = 3
			case kind + "/*":
				rank = 2
			case "*/*":
				rank = 1
			}
			if rank > best {
				best, weight = rank, weightOf(params["q"])
			}
		}
	}
	return weight, best > 1
}

// weightOf reads a qvalue (RFC 9110 §12.4.2); one that is none counts as 1.
func weightOf(q string) float64 {
	w, err := strconv.ParseFloat(q, 64)
	if err != nil || w < 0 || w > 1 {
		return 1
	}
	return w
}
