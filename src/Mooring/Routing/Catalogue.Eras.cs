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

    private void KeepEra(Upstream upstream, Era era)
    {
        byte[] body =
        [
            .. "{\"era\":"u8, .. JsonText.Quote(era == Era.Stateless ? Stateless : "sessions"), .. ",\"fingerprint\":"u8, .. JsonText.Quote(upstream.Fingerprint), (byte)'}',
        ];
        Keep(new CatalogueRecord(upstream.Name, CatalogueKey.Base, EraKind, body, Encoding.ASCII.GetString(body), time.GetUtcNow()));
    }

    private void TakeEra(CatalogueRecord record)
    {
        // Of a server that is configured otherwise by now it says nothing; that is seen by the fingerprint.
        var era = JsonFields.String(record.Body.Span, "era"u8) == Stateless ? Era.Stateless : Era.Sessions;
        eras.Restore(record.Server, JsonFields.String(record.Body.Span, "fingerprint"u8) ?? "", era);
    }
}
