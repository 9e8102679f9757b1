using System.Text;
using Mooring.Protocol;
using Mooring.Stores;
using Mooring.Upstreams;
using Mooring.Upstreams.Stateless;

namespace Mooring.Routing;

/// <content>Whether servers keep sessions, kept beside their lists: a process after this one need not find it out again.</content>
internal sealed partial class Catalogue
{
    private const string EraKind = "era";

    private const string Stateless = "stateless";

    private void KeepEra(Upstream upstream, Era era) => Keep(RowOf(upstream.Name, era, upstream.Place));

    private CatalogueRecord RowOf(string server, Era era, string place)
    {
        byte[] body = [.. "{\"era\":"u8, .. JsonText.Quote(era == Era.Stateless ? Stateless : "sessions"), .. ",\"place\":"u8, .. JsonText.Quote(place), (byte)'}'];
        return new CatalogueRecord(server, CatalogueKey.Base, EraKind, body, Encoding.ASCII.GetString(body), time.GetUtcNow());
    }

    private void TakeEra(CatalogueRecord record)
    {
        // Of a server that is somewhere else by now it says nothing; that is seen by the place.
        eras.Restore(record.Server, JsonFields.String(record.Body.Span, "place"u8) ?? FingerprintIn(record) ?? "", EraIn(record));
    }

    /// <summary>Takes what stands in a row out of what the release before wrote there: a hash of headers and arguments, which may be guessed.</summary>
    private async Task RenewAsync(CatalogueRecord era, Upstream? upstream)
    {
        if (FingerprintIn(era) is { } fingerprint)
        {
            await store.SaveCatalogueAsync(RowOf(era.Server, EraIn(era), upstream?.Fingerprint == fingerprint ? upstream.Place : ""));
        }
    }

    private static Era EraIn(CatalogueRecord record) => JsonFields.String(record.Body.Span, "era"u8) == Stateless ? Era.Stateless : Era.Sessions;

    /// <summary>Null: it is of this release.</summary>
    private static string? FingerprintIn(CatalogueRecord record) => JsonFields.String(record.Body.Span, "fingerprint"u8);
}
