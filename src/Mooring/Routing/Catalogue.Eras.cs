using System.Text;
using Mooring.Protocol;
using Mooring.Stores;
using Mooring.Upstreams;
using Mooring.Upstreams.Stateless;

namespace Mooring.Routing;

/// <content>Whether servers keep sessions, and the version negotiated, kept beside their lists: a process after this one need not find it out again.</content>
internal sealed partial class Catalogue
{
    private const string EraKind = "era";

    private const string Stateless = "stateless";

    private void KeepEra(Upstream upstream, ShownEra shown) => Keep(RowOf(upstream.Name, shown, upstream.Place, time.GetUtcNow()));

    private static CatalogueRecord RowOf(string server, ShownEra shown, string place, DateTimeOffset at)
    {
        byte[] body =
        [
            .. "{\"era\":"u8, .. JsonText.Quote(shown.Era == Era.Stateless ? Stateless : "sessions"), .. ",\"place\":"u8, .. JsonText.Quote(place),
            .. Property(",\"version\":"u8, shown.Version), .. Property(",\"release\":"u8, shown.Release), (byte)'}',
        ];
        return new CatalogueRecord(server, CatalogueKey.Base, EraKind, body, Encoding.UTF8.GetString(body), at);

        static byte[] Property(ReadOnlySpan<byte> name, string? value) => value is null ? [] : [.. name, .. JsonText.Quote(value)];
    }

    private void TakeEra(CatalogueRecord record)
    {
        // Of a server that is somewhere else by now it says nothing; that is seen by the place.
        eras.Restore(record.Server, JsonFields.String(record.Body.Span, "place"u8) ?? FingerprintIn(record) ?? "", ShownIn(record), record.Fetched);
    }

    /// <summary>Takes what stands in a row out of what the release before wrote there: a hash of headers and arguments, which may be guessed.</summary>
    private async Task RenewAsync(CatalogueRecord era, Upstream? upstream)
    {
        if (FingerprintIn(era) is { } fingerprint)
        {
            await store.SaveCatalogueAsync(RowOf(era.Server, ShownIn(era), upstream?.Fingerprint == fingerprint ? upstream.Place : "", era.Fetched));
        }
    }

    private static ShownEra ShownIn(CatalogueRecord record)
    {
        var body = record.Body.Span;
        return new ShownEra(JsonFields.String(body, "era"u8) == Stateless ? Era.Stateless : Era.Sessions, JsonFields.String(body, "version"u8), JsonFields.String(body, "release"u8));
    }

    /// <summary>Null: it is of this release.</summary>
    private static string? FingerprintIn(CatalogueRecord record) => JsonFields.String(record.Body.Span, "fingerprint"u8);
}
