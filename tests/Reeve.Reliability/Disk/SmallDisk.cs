using System.Globalization;
using Reeve.Server.Tests;

namespace Reeve.Reliability.Disk;

/// <summary>
/// A small file system of its own (tmpfs) that can be filled up, or made read-only. Only root may mount one.
/// </summary>
internal sealed class SmallDisk : IAsyncDisposable
{
    private readonly string _filler;

    private SmallDisk(string folder) => (Folder, _filler) = (folder, Path.Combine(folder, "filler"));

    internal string Folder { get; }

    /// <summary>
    /// Why there can be none on this machine; null: there can. With <c>REEVE_REQUIRE_ROOT=1</c> that is a failure.
    /// </summary>
    internal static string? Missing()
    {
        if (Environment.IsPrivilegedProcess && OperatingSystem.IsLinux())
        {
            return null;
        }

        const string Reason = "mounting a small disk needs root on Linux";
        return Environment.GetEnvironmentVariable("REEVE_REQUIRE_ROOT") == "1"
            ? throw new InvalidOperationException($"REEVE_REQUIRE_ROOT is set, and {Reason}.")
            : Reason;
    }

    internal static async Task<SmallDisk> MountAsync(int mebibytes)
    {
        var folder = TestServer.NewFolder();
        var size = string.Create(CultureInfo.InvariantCulture, $"size={mebibytes}m");
        Demand(await Command.RunAsync("mount", "-t", "tmpfs", "-o", size, "reeve-test", folder));
        return new SmallDisk(folder);
    }

    /// <summary>Takes all the room that is left; answers the bytes.</summary>
    internal long Fill()
    {
        var bytes = 0L;
        foreach (var size in (int[])[64 * 1024, 4096])
        {
            try
            {
                using var file = new FileStream(
                    _filler, FileMode.Append, FileAccess.Write, FileShare.ReadWrite, bufferSize: 0);
                for (var block = new byte[size]; ; bytes += size)
                {
                    file.Write(block);
                }
            }
            catch (IOException)
            {
                // Full, as wanted.
            }
        }

        return bytes;
    }

    internal void Free() => File.Delete(_filler);

    internal async Task RemountAsync(string mode) =>
        Demand(await Command.RunAsync("mount", "-o", $"remount,{mode}", Folder));

    public async ValueTask DisposeAsync()
    {
        Demand(await Command.RunAsync("umount", Folder));
        Directory.Delete(Folder);
    }

    private static void Demand(string? complaint)
    {
        if (complaint is not null)
        {
            throw new InvalidOperationException(complaint);
        }
    }
}
