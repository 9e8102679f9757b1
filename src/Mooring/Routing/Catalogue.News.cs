using Mooring.Stores;
using Mooring.Telemetry;

namespace Mooring.Routing;

/// <content>What other replicas have learnt. A signal names the row, and only that is read; all rows are where signals may have been missed.</content>
internal sealed partial class Catalogue
{
    /// <summary>Kind of signal: kind, key and server of a row that another replica has written. A release before names the server alone.</summary>
    private const string NewsSignal = "catalogue";

    private readonly Lock _newsGate = new();
    private HashSet<(string Server, string Key, string Kind)> _news = [];
    private bool _areAllNews;
    private bool _hasMissedNews;
    private bool _isReadingNews;

    /// <summary>From now on hears what other replicas learn.</summary>
    public void ListenToPeers()
    {
        peers.OnSignal(NewsSignal, id => TakeNews(id.Split('\n', 3) is [var kind, var key, var server] ? (server, key, kind) : null));
        peers.OnMissed(() => TakeNews(row: null));
    }

    /// <summary>A name of a server may have a space in it, but no line break.</summary>
    private static string NewsOf(CatalogueRecord record) => $"{record.Kind}\n{record.Key}\n{record.Server}";

    /// <param name="row">Which; null: any of them may be another one.</param>
    private void TakeNews((string Server, string Key, string Kind)? row)
    {
        lock (_newsGate)
        {
            if (row is { } one)
            {
                _news.Add(one);
            }
            else
            {
                _areAllNews = true;
            }

            // Whoever comes while one is reading has that one read once more.
            if (_isReadingNews)
            {
                return;
            }

            _isReadingNews = true;
        }

        TakeNewsAsync().Unawaited(logger);
    }

    private async Task TakeNewsAsync()
    {
        while (NextNews() is { } news)
        {
            try
            {
                var asked = Turn.Next();
                var records = news.All ? await store.LoadCatalogueAsync(CancellationToken.None) : await FindAsync(news.Rows);
                // What stands for the server as a whole first: whoever is told of that is not told again of what follows from it. Then key by key.
                foreach (var record in records.OrderBy(record => record.Key != CatalogueKey.Base).ThenBy(record => record.Key, StringComparer.Ordinal))
                {
                    Take(record, asked);
                }
            }
            catch (StoreException e)
            {
                Log.NewsNotRead(logger, e.Message);
                lock (_newsGate)
                {
                    _hasMissedNews = true;
                }
            }
        }
    }

    /// <returns>What is to be read; null: nothing more, and nobody reads from here on.</returns>
    private (IReadOnlyCollection<(string Server, string Key, string Kind)> Rows, bool All)? NextNews()
    {
        lock (_newsGate)
        {
            if (!_areAllNews && _news.Count == 0)
            {
                _isReadingNews = false;
                return null;
            }

            // With the next news comes what could not be read before.
            var next = (_news, _areAllNews || _hasMissedNews);
            (_news, _areAllNews, _hasMissedNews) = ([], false, false);
            return next;
        }
    }

    private async Task<IReadOnlyList<CatalogueRecord>> FindAsync(IReadOnlyCollection<(string Server, string Key, string Kind)> rows)
    {
        var records = new List<CatalogueRecord>(rows.Count);
        foreach (var (server, key, kind) in rows)
        {
            if (await store.FindCatalogueAsync(server, key, kind, CancellationToken.None) is { } record)
            {
                records.Add(record);
            }
        }

        return records;
    }

    /// <summary>Takes what another replica has heard.</summary>
    /// <param name="record">The store's.</param>
    /// <param name="asked">The turn in which the store was asked for it.</param>
    private void Take(CatalogueRecord record, long asked)
    {
        if (record.Kind == EraKind)
        {
            TakeEra(record);
            return;
        }

        var lists = _entries.Look(record.Server, record.Key);
        if (record.Kind == InitializeKind)
        {
            if (lists.InitializeResult.IsEmpty)
            {
                Change(record.Server, record.Key, now => now with { InitializeResult = record.Body, Said = record.Fetched });
                Interlocked.Increment(ref _version);
            }

            return;
        }

        if (ListKinds.Parse(record.Kind) is not { } kind || lists[kind]?.Hash == record.Hash)
        {
            return;
        }

        if (_kept.TryGetValue((record.Server, record.Key, record.Kind), out var kept))
        {
            if (kept.Turn == 0)
            {
                // Which of the two is newer nobody can say, so whoever needs it asks.
                Doubt(record.Server, record.Key, kind);
                return;
            }

            if (kept.Turn > asked)
            {
                // The store has had the one of this process since.
                return;
            }
        }

        var list = ListOf(kind, record);
        list.Changed = lists[kind] is null ? null : record.Fetched;
        // It stays: what another replica read may be from before what was heard here.
        var doubt = _doubts.GetValueOrDefault((record.Server, record.Key, kind)).Kind;
        Change(record.Server, record.Key, now => now.With(list));
        Interlocked.Increment(ref _version);
        var isFirst = lists[kind] is null;
        if (!isFirst && record.Key == CatalogueKey.Base)
        {
            DoubtOthers(record.Server, kind);
        }

        Changed?.Invoke(new CatalogueChange(record.Server, record.Key, list, WasTold: doubt == CatalogueDoubt.Told, IsFirst: isFirst, IsNews: true));
    }
}
