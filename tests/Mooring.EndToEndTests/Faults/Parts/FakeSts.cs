using System.Collections.Concurrent;
using System.Text;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.WebUtilities;
using Microsoft.Extensions.DependencyInjection;

namespace Mooring.EndToEndTests.Faults.Parts;

/// <summary>The one operation of the AWS Security Token Service by which a role is assumed, as the AWS client speaks to it over the wire. Keeps which roles were asked for.</summary>
internal sealed class FakeSts : IAsyncDisposable
{
    /// <summary>Whom the credentials that it gives are of.</summary>
    public const string AccessKey = "ASIAOFTHEROLE";

    public const string SessionToken = "session-token-of-the-role";

    private readonly ConcurrentQueue<string> _roles = new();
    private WebApplication _app = null!;

    public Uri Url { get; private set; } = null!;

    /// <summary>What was asked for.</summary>
    public IReadOnlyList<string> Roles => [.. _roles];

    public static async Task<FakeSts> StartAsync()
    {
        var sts = new FakeSts();
        var builder = WebApplication.CreateEmptyBuilder(new());
        builder.WebHost.UseKestrelCore().UseUrls("http://127.0.0.1:0");
        builder.Services.AddRouting();
        sts._app = builder.Build();
        sts._app.Run(sts.AnswerAsync);
        await sts._app.StartAsync();
        sts.Url = new Uri(sts._app.Urls.First());
        return sts;
    }

    public async ValueTask DisposeAsync() => await _app.DisposeAsync();

    private async Task AnswerAsync(HttpContext context)
    {
        using var reader = new StreamReader(context.Request.Body);
        var form = QueryHelpers.ParseQuery(await reader.ReadToEndAsync());
        if (form["Action"] != "AssumeRole" || !context.Request.Headers.Authorization.ToString().StartsWith("AWS4-HMAC-SHA256 ", StringComparison.Ordinal))
        {
            context.Response.StatusCode = 400;
            return;
        }

        _roles.Enqueue(form["RoleArn"].ToString());
        context.Response.ContentType = "text/xml";
        await context.Response.Body.WriteAsync(Encoding.UTF8.GetBytes(
            $"""
            <AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult><Credentials><AccessKeyId>{AccessKey}</AccessKeyId>
            <SecretAccessKey>secret</SecretAccessKey><SessionToken>{SessionToken}</SessionToken><Expiration>2100-01-01T00:00:00Z</Expiration></Credentials>
            <AssumedRoleUser><AssumedRoleId>AROA:mooring</AssumedRoleId><Arn>arn:aws:sts::111122223333:assumed-role/gateway/mooring</Arn></AssumedRoleUser></AssumeRoleResult>
            <ResponseMetadata><RequestId>1</RequestId></ResponseMetadata></AssumeRoleResponse>
            """));
    }
}
