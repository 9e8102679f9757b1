using System.Collections.Concurrent;
using System.Text.RegularExpressions;
using Microsoft.Playwright;
using Xunit;

namespace Mooring.EndToEndTests.Browser;

/// <summary>Somebody at a browser of their own, who goes through the gateway's pages by what is to be read on them. The test that made it disposes it.</summary>
internal sealed class Person : IAsyncDisposable
{
    private readonly ConcurrentQueue<string> _faults = new();
    private readonly ConcurrentQueue<string> _policies = new();
    private readonly IBrowserContext _context;
    private readonly IPage _page;
    private readonly string _gateway;

    private Person(IBrowserContext context, IPage page, string gateway)
    {
        (_context, _page, _gateway) = (context, page, gateway);
        page.Console += (_, message) => Note(message.Type is "error" or "warning", $"{message.Type}: {message.Text} ({message.Location})");
        page.PageError += (_, error) => Note(true, $"{error} ({page.Url})");
        page.RequestFailed += (_, request) => Note(true, $"{request.Failure}: {request.Url}");
        page.Response += (_, response) =>
        {
            if (response.Url.StartsWith(gateway, StringComparison.Ordinal))
            {
                _policies.Enqueue(response.Headers.GetValueOrDefault("content-security-policy", $"{response.Url} has none"));
            }
        };
    }

    public static async Task<Person> AtAsync(Chromium chromium, Uri gateway)
    {
        var context = await chromium.NewContextAsync();
        // Not each violation is on the console.
        await context.AddInitScriptAsync("document.addEventListener('securitypolicyviolation', e => console.error(`${location.href} violates ${e.violatedDirective} with ${e.blockedURI}`))");
        return new Person(context, await context.NewPageAsync(), gateway.GetLeftPart(UriPartial.Authority));
    }

    /// <summary>From the address that a client opened to where the client is told how it went.</summary>
    /// <param name="address">What the client opened.</param>
    /// <param name="provider">The name of the provider to sign in at; there it takes a form.</param>
    /// <param name="client">What the client calls itself, so that the person knows it.</param>
    /// <param name="allows">What the person decides.</param>
    public async Task DecideAsync(Uri address, string provider, string client, bool allows = true)
    {
        await _page.GotoAsync(address.AbsoluteUri);
        await SeesAsync("Sign in");
        await _page.GetByRole(AriaRole.Link, new() { Name = $"Sign in with {provider}", Exact = true }).ClickAsync();

        await _page.GetByLabel("Name").FillAsync("ann");
        await _page.GetByRole(AriaRole.Button, new() { Name = "Go on", Exact = true }).ClickAsync();

        await SeesAsync("Allow access?");
        var text = await _page.InnerTextAsync("main");
        Assert.Contains(client, text, StringComparison.Ordinal);
        Assert.Contains("ann@example.com", text, StringComparison.Ordinal);
        await _page.GetByRole(AriaRole.Button, new() { Name = allows ? "Allow" : "Do not allow", Exact = true }).ClickAsync();
        // Looked at again and again: to wait for a navigation that was over by then would take for ever.
        await HoldsAsync(() => Assertions.Expect(_page).Not.ToHaveURLAsync(new Regex($"^{Regex.Escape(_gateway)}", RegexOptions.None, TimeSpan.FromSeconds(1)), new() { Timeout = 30_000 }));
        NoFaults();
        Assert.True(_policies.Count >= 3, $"The gateway answered {_policies.Count} times.");
        Assert.All(_policies, policy => Assert.StartsWith("default-src 'none'; ", policy, StringComparison.Ordinal));
    }

    public async ValueTask DisposeAsync() => await _context.DisposeAsync();

    /// <summary>A page of the gateway is there, with its style.</summary>
    private async Task SeesAsync(string heading)
    {
        await HoldsAsync(() => _page.GetByRole(AriaRole.Heading, new() { Name = heading, Exact = true }).WaitForAsync());
        Assert.StartsWith(_gateway, _page.Url, StringComparison.Ordinal);
        // Its style is there by its hash alone.
        Assert.NotEqual("none", await _page.EvaluateAsync<string>("() => getComputedStyle(document.body).maxWidth"));
        NoFaults();
    }

    private async Task HoldsAsync(Func<Task> wait)
    {
        try
        {
            await wait();
        }
        catch (Exception e) when (e is PlaywrightException or TimeoutException)
        {
            throw new InvalidOperationException($"The person is stuck at {_page.Url}:\n{await _page.InnerTextAsync("body")}\n{string.Join('\n', _faults)}", e);
        }
    }

    private void NoFaults() => Assert.True(_faults.IsEmpty, string.Join('\n', _faults));

    /// <summary>Other sites' pages are theirs to answer for.</summary>
    private void Note(bool isFault, string what)
    {
        if (isFault && what.Contains(_gateway, StringComparison.Ordinal))
        {
            _faults.Enqueue(what);
        }
    }
}
