namespace Mooring.Connectors.Docs;

/// <summary>One page that answers a search, with the best place on it.</summary>
/// <param name="Best">The section that answers best; null when the page matches by title, route or description alone.</param>
/// <param name="Others">Further sections that hold the words, best first.</param>
/// <param name="SameOn">Other pages on which the best section is word for word the same, as pages that include one part are.</param>
internal sealed record SearchHit(
    RoutedPage Page, double Score, string Excerpt, SectionHead? Best, IReadOnlyList<SectionHead> Others, IReadOnlyList<RoutedPage> SameOn)
{
    private const int MostOthers = 3;

    /// <summary>Pages looked at for one wanted: a site for four frameworks has most of its text four times.</summary>
    private const int PagesPerHit = 5;

    /// <summary>Searches and puts pages with the same answer together.</summary>
    public static IReadOnlyList<SearchHit> Find(SearchTable table, DocsSnapshot snapshot, SearchQuery query, int limit)
    {
        var hits = new List<(SearchHit Hit, List<RoutedPage> SameOn)>(limit);
        var answers = new Dictionary<(string Heading, string Text), List<RoutedPage>>();
        var last = 0.0;
        foreach (var found in table.Search(query, limit * PagesPerHit))
        {
            // Pages with the same section rank nearly always the same: behind the last hit only such are still looked for.
            if (hits.Count == limit && found.Score != last)
            {
                break;
            }

            last = found.Score;
            var page = snapshot.ById(found.PageId);
            var sections = table.SectionsOf(found.PageId, query);
            var answer = sections.Count == 0 || sections[0].MarkedText.Length == 0 ? default : (page.Page.Sections[sections[0].Section].Heading, sections[0].MarkedText);
            if (answer != default && answers.TryGetValue(answer, out var same))
            {
                same.Add(page);
            }
            else if (hits.Count < limit)
            {
                var sameOn = new List<RoutedPage>();
                hits.Add((From(page, found.Score, sections, sameOn), sameOn));
                if (answer != default)
                {
                    answers[answer] = sameOn;
                }
            }
        }

        return [.. hits.Select(hit => hit.Hit)];
    }

    private static SearchHit From(RoutedPage routed, double score, IReadOnlyList<SectionHit> sections, IReadOnlyList<RoutedPage> sameOn)
    {
        var page = routed.Page;
        if (sections.Count == 0)
        {
            return new SearchHit(routed, score, SearchText.Beginning(page.Description.Length > 0 ? page.Description : page.Title), null, [], sameOn);
        }

        // A heading directly above another has no text of its own; the next section with the words then shows them.
        var shown = sections.FirstOrDefault(section => section.MarkedText.Length > 0).MarkedText;
        var best = page.Sections[sections[0].Section];
        return new SearchHit(
            routed, score, shown is null ? best.Heading : SearchText.Excerpt(shown), best,
            [.. sections.Skip(1).Take(MostOthers).Select(section => page.Sections[section.Section])], sameOn);
    }
}
