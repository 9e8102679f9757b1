using Microsoft.Data.Sqlite;

namespace Mooring.Connectors.Docs;

/// <summary>
/// The words of all pages in SQLite's full-text index (FTS5), in memory. Two tables: whole pages decide which page answers, sections
/// decide where on it. Not safe for several threads; <see cref="DocsIndex"/> owns it and holds its lock around each call.
/// </summary>
internal sealed class SearchTable : IDisposable
{
    private const int SectionsPerPage = PageText.MostSections;

    /// <summary>SQLite gives a word that most pages hold nearly no weight; a hit is still a hit.</summary>
    private const double SmallestScore = 0.0001;

    /// <summary>
    /// Stems English words, and folds letters to their base ("café" is "cafe"). SQLite's own ranking (BM25) is told that a hit in the
    /// title is worth ten in the text, one in a heading four, one in the route or the description three.
    /// </summary>
    private const string Schema = """
        CREATE VIRTUAL TABLE pages USING fts5(title, headings, route, description, body, tokenize = 'porter unicode61 remove_diacritics 2');
        CREATE VIRTUAL TABLE sections USING fts5(heading, body, tokenize = 'porter unicode61 remove_diacritics 2');
        INSERT INTO pages(pages, rank) VALUES ('rank', 'bm25(10.0, 4.0, 3.0, 3.0, 1.0)');
        """;

    private readonly SqliteConnection _connection;
    private readonly SqliteCommand _addPage;
    private readonly SqliteCommand _addSection;
    private readonly SqliteCommand _removePage;
    private readonly SqliteCommand _removeSections;
    private readonly SqliteCommand _searchPages;
    private readonly SqliteCommand _searchSections;

    public SearchTable()
    {
        SQLitePCL.Batteries_V2.Init();
        _connection = new SqliteConnection("Data Source=:memory:;Pooling=False");
        _connection.Open();
        using (var schema = Command(Schema))
        {
            schema.ExecuteNonQuery();
        }

        _addPage = Command(
            "INSERT INTO pages(rowid, title, headings, route, description, body) VALUES ($id, $title, $headings, $route, $description, $body)",
            "$id", "$title", "$headings", "$route", "$description", "$body");
        _addSection = Command("INSERT INTO sections(rowid, heading, body) VALUES ($id, $heading, $body)", "$id", "$heading", "$body");
        _removePage = Command("DELETE FROM pages WHERE rowid = $id", "$id");
        _removeSections = Command("DELETE FROM sections WHERE rowid BETWEEN $first AND $last", "$first", "$last");
        _searchPages = Command("SELECT rowid, rank FROM pages WHERE pages MATCH $query ORDER BY rank, rowid LIMIT $limit", "$query", "$limit");
        _searchSections = Command(
            "SELECT rowid, highlight(sections, 0, $start, $end), highlight(sections, 1, $start, $end) FROM sections WHERE sections MATCH $query AND rowid BETWEEN $first AND $last",
            "$query", "$first", "$last", "$start", "$end");
        _searchSections.Parameters["$start"].Value = SearchText.HitStart.ToString();
        _searchSections.Parameters["$end"].Value = SearchText.HitEnd.ToString();
    }

    /// <summary>Takes pages out and puts pages in, all or nothing.</summary>
    public void Apply(IEnumerable<int> remove, IEnumerable<ReadPage> add)
    {
        using var transaction = _connection.BeginTransaction();
        foreach (var id in remove)
        {
            Execute(_removePage, transaction, (long)id);
            Execute(_removeSections, transaction, FirstSection(id), FirstSection(id + 1) - 1);
        }

        foreach (var read in add)
        {
            Add(read, transaction);
        }

        transaction.Commit();
    }

    /// <summary>The best pages, those with all words before those with some.</summary>
    public IReadOnlyList<PageHit> Search(SearchQuery query, int limit)
    {
        var hits = Pages(query.All, limit, 1);
        if (hits.Count < limit && query.Any is { } any)
        {
            var found = hits.Select(hit => hit.PageId).ToHashSet();
            // A page that lacks a word is at best half as good as one that has all.
            var others = Pages(any, limit + hits.Count, hits.Count == 0 ? 1 : 0.5).Where(hit => !found.Contains(hit.PageId));
            hits.AddRange(others.Take(limit - hits.Count));
        }

        return hits;
    }

    /// <summary>The sections of one page that hold any of the words, best first.</summary>
    public IReadOnlyList<SectionHit> SectionsOf(int pageId, SearchQuery query)
    {
        var found = new List<SectionHit>();
        _searchSections.Parameters["$query"].Value = query.Sections;
        _searchSections.Parameters["$first"].Value = FirstSection(pageId);
        _searchSections.Parameters["$last"].Value = FirstSection(pageId + 1) - 1;
        using var rows = _searchSections.ExecuteReader();
        while (rows.Read())
        {
            var heading = rows.GetString(1);
            var text = rows.GetString(2);
            found.Add(new SectionHit((int)(rows.GetInt64(0) - FirstSection(pageId)), SearchText.Weigh(heading, text), text));
        }

        return [.. found.OrderByDescending(hit => hit.Weight).ThenBy(hit => hit.Section)];
    }

    public void Dispose()
    {
        foreach (var command in new[] { _addPage, _addSection, _removePage, _removeSections, _searchPages, _searchSections })
        {
            command.Dispose();
        }

        _connection.Dispose();
    }

    private static long FirstSection(int pageId) => (long)pageId * SectionsPerPage;

    private void Add(ReadPage read, SqliteTransaction transaction)
    {
        var page = read.Page!;
        Execute(
            _addPage, transaction, (long)page.Id, SearchText.Part(page.Title),
            SearchText.Part(string.Join('\n', read.Sections.Select(section => section.Heading))),
            SearchText.Part(page.WantedRoute), SearchText.Part(page.Description),
            SearchText.Part(string.Join('\n', read.Sections.Select(section => section.Text))));
        for (var i = 0; i < read.Sections.Count; i++)
        {
            Execute(_addSection, transaction, FirstSection(page.Id) + i, SearchText.Part(read.Sections[i].Heading), SearchText.Part(read.Sections[i].Text));
        }
    }

    private List<PageHit> Pages(string expression, int limit, double best)
    {
        var hits = new List<PageHit>();
        _searchPages.Parameters["$query"].Value = expression;
        _searchPages.Parameters["$limit"].Value = limit;
        using var rows = _searchPages.ExecuteReader();
        double? first = null;
        while (rows.Read())
        {
            // SQLite's rank is negative, the better the lower, and without a scale: it says something only against the best one.
            var rank = rows.GetDouble(1);
            first ??= rank;
            hits.Add(new PageHit(rows.GetInt32(0), first == 0 ? best : Math.Max(SmallestScore, Math.Round(best * rank / first.Value, 4))));
        }

        return hits;
    }

    private SqliteCommand Command(string sql, params string[] parameters)
    {
        var command = _connection.CreateCommand();
        command.CommandText = sql;
        foreach (var name in parameters)
        {
            command.Parameters.AddWithValue(name, DBNull.Value);
        }

        return command;
    }

    private static void Execute(SqliteCommand command, SqliteTransaction transaction, params object[] values)
    {
        command.Transaction = transaction;
        for (var i = 0; i < values.Length; i++)
        {
            command.Parameters[i].Value = values[i];
        }

        command.ExecuteNonQuery();
    }
}

/// <param name="Score">1 for the best page of a search, less for the others.</param>
internal readonly record struct PageHit(int PageId, double Score);

/// <param name="Section">Its place among <see cref="Page.Sections"/>.</param>
/// <param name="MarkedText">Its words with the hits marked, see <see cref="SearchText"/>.</param>
internal readonly record struct SectionHit(int Section, double Weight, string MarkedText);
