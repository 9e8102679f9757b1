using System.Net;
using System.Text.Json.Nodes;
using Xunit;

namespace Mooring.Tests.Upstreams;

/// <content>What the audit log says of them.</content>
public sealed partial class AccountTests
{
    private string? _auditFile;

    [Fact]
    public async Task Account_LinkedOrNotOrByALinkOfSomebodyElse_IsNoted()
    {
        var folder = Directory.CreateTempSubdirectory("mooring-audit-");
        try
        {
            _auditFile = Path.Combine(folder.FullName, "audit.jsonl");
            await StartAsync();
            var address = await AddressAsync(await _gateway.ClientAsync(user: "ann", capabilities: Url));
            using var stolen = await SendAsync(HttpMethod.Get, address, user: "bob");
            Assert.Equal(HttpStatusCode.Forbidden, stolen.StatusCode);
            var (back, cookie) = await GoAsync(address);
            using var madeUp = await SendAsync(HttpMethod.Get, new Uri(back.AbsoluteUri.Replace("state=", "x=", StringComparison.Ordinal)), cookie: cookie);
            using var elsewhere = await SendAsync(HttpMethod.Get, back);
            using var linked = await SendAsync(HttpMethod.Get, back, cookie: cookie);
            Assert.Equal(HttpStatusCode.OK, linked.StatusCode);
            List<JsonObject> lines = [];
            await _gateway.UntilAsync(() => (lines = Noted()).Count >= 3, "three lines are written", TimeSpan.FromSeconds(1));

            Assert.Equal(
                [("refused", "bob", "a link of ann"), ("failed", "ann", "This was begun in another browser. Open the link again, and finish it there."), ("ok", "ann", null)],
                lines.Select(line => ((string)line["outcome"]!, (string)line["user"]!, (string?)line["reason"])));
            Assert.All(lines, line => Assert.Equal("acme", (string?)line["name"]));
        }
        finally
        {
            // The file is open until its gateway is gone, which does not keep it here.
            folder.Delete(recursive: true);
        }

        List<JsonObject> Noted() => !File.Exists(_auditFile) ? [] :
        [
            .. File.ReadAllText(_auditFile).Split('\n').SkipLast(1).Select(line => JsonNode.Parse(line)!.AsObject()).Where(line => (string)line["event"]! == "account_linked"),
        ];
    }
}
