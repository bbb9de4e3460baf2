// Package wordcount counts the words of a text.
package wordcount

import (
	"sort"
	"strings"
	"unicode"
)

// Entry is a word and how often it occurs.
type Entry struct {
	Word  string `json:"word"`
	Count int    `json:"count"`
}

// Count returns the words of text in lower case, the most frequent first and
// equally frequent ones by the alphabet. What is neither a letter nor a digit
// separates words.
func Count(text string) []Entry {
	separates := func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) }
	counts := map[string]int{}
	for _, word := range strings.FieldsFunc(strings.ToLower(text), separates) {
		counts[word]++
	}

	entries := make([]Entry, 0, len(counts))
	for word, count := range counts {
		entries = append(entries, Entry{word, count})
	}
	sort.Slice(entries, func(i, j int) bool {
		if entries[i].Count != entries[j].Count {
			return entries[i].Count > entries[j].Count
		}
		return entries[i].Word < entries[j].Word
	})
	return entries
}
