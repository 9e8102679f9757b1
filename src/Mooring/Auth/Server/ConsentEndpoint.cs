using System.Security.Cryptography;
using Microsoft.AspNetCore.Http;
using Mooring.Audit;
using Mooring.Configuration;
using Mooring.Stores;

namespace Mooring.Auth.Server;

/// <summary>Where a person allows what a client asks for. Asked each time: any program on a person's machine can pretend to be another that was allowed before.</summary>
internal sealed class ConsentEndpoint(
    ConfigStore config, IAuthStore store, Requests requests, Clients clients, Browsers browsers, SignInEndpoint signIn, SignInFirst first, AuthorizeEndpoint authorize, PublicAddress address, TimeProvider time,
    AuditLog audit)
{
    private static readonly TimeSpan CodeLifetime = TimeSpan.FromMinutes(1);

    public async Task AnswerAsync(HttpContext context)
    {
        Dictionary<string, string>? form = null;
        if (HttpMethods.IsPost(context.Request.Method) && (!requests.IsOurs(context) || (form = await Forms.ReadAsync(context)) is null))
        {
            await Pages.ProblemAsync(context, StatusCodes.Status400BadRequest, "That form is not ours", "It was sent by another page.");
            return;
        }

        var secret = form is null ? (string?)context.Request.Query["request"] ?? "" : form.GetValueOrDefault("request", "");
        if (await requests.FindAsync(context, secret) is not { } data)
        {
            return;
        }

        if (data.Prompt || await browsers.FindAsync(context) is not { } found)
        {
            await signIn.PageAsync(context, StatusCodes.Status200OK, secret, data);
            return;
        }

        var (person, since) = found;
        if (data.Account is not null)
        {
            // Nobody asks for anything: somebody had to sign in, and did.
            if (await requests.TakeAsync(context, secret) is { } link)
            {
                first.LeadBack(context, link);
            }

            return;
        }

        if (form is null)
        {
            await Pages.ConsentAsync(context, address.Of(context), secret, data, person, GrantedTo(person, data.Scopes));
            return;
        }

        if (await requests.TakeAsync(context, secret) is null)
        {
            return;
        }

        var allows = form.GetValueOrDefault("decision") == "allow";
        if (audit.IsOn)
        {
            audit.Write(new AuditEntry("consent", allows ? "allowed" : "denied")
            {
                Issuer = person.Issuer,
                User = person.Subject,
                Client = data.Client.Id,
                Name = data.Client.Name,
                Address = context.Connection.RemoteIpAddress?.ToString(),
                Reason = $"{string.Join(' ', GrantedTo(person, data.Scopes))} for {RedirectUris.Plainly(data.RedirectUri)}",
            });
        }

        if (!allows)
        {
            await authorize.AnswerClientAsync(context, data.RedirectUri, data.State, ("error", "access_denied"), ("error_description", "The person did not allow it."));
            return;
        }

        await authorize.AnswerClientAsync(context, data.RedirectUri, data.State, ("code", await GiveAsync(data, person, since)));
    }

    /// <summary>What of the scopes asked for a person can give.</summary>
    private IReadOnlyList<string> GrantedTo(Person person, IReadOnlyList<string> asked)
    {
        List<string> granted = [.. asked.Where(scope => scope != Scopes.Admin || Scopes.IsAdmin(config.Current.Auth, person))];
        return granted.Count == 0 ? [Scopes.Use] : granted;
    }

    private async Task<string> GiveAsync(RequestData data, Person person, DateTimeOffset since)
    {
        await clients.UsedAsync(data);
        var oauth = config.Current.Auth.OAuth;
        var now = time.GetUtcNow();
        var grant = Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(16));
        await store.AddAuthAsync(new AuthRecord
        {
            Kind = AuthKind.Grant,
            Key = grant,
            Data = AuthJson.Write(new GrantData(person, data.Client.Id, data.Client.Name, since)),
            Created = now,
            Expires = now + CodeLifetime + (data.Client.Refreshes ? oauth.RefreshToken : oauth.AccessToken),
        });
        var code = Secret.New("mrc_");
        var token = new TokenData(person, data.Client.Id, GrantedTo(person, data.Scopes), data.Path);
        await store.AddAuthAsync(new AuthRecord
        {
            Kind = AuthKind.Code,
            Key = Secret.KeyOf(code),
            Grant = grant,
            Data = AuthJson.Write(new CodeData(token, data.RedirectUri, data.Challenge, data.Client.Refreshes)),
            Created = now,
            Expires = now + CodeLifetime,
        });
        return code;
    }
}
