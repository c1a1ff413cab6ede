# Checks one commit out below GITSYNC_ROOT: from its copy in the cache, or from the git host, of which it then keeps a copy.
# GITSYNC_REF is the commit in full, CODE the folder of the copies: a repository for each commit, which several pods may share.
# A commit never changes, and git computes the id of all that it reads: a copy is as good as the host, which is then not asked.
set -eu
PATH="$PATH:/" # git-sync's image has the program in its root folder

copy="$CODE/$GITSYNC_REF.git"
if [ -d "$copy" ]; then
  if (
    unset GITSYNC_USERNAME GITSYNC_PASSWORD
    GITSYNC_REPO="file://$copy" GITSYNC_MAX_FAILURES=1 git-sync
  ); then
    touch "$copy"
    echo "commit $GITSYNC_REF of the code: from the cache, without the git host"
    exit 0
  fi
  # A full disk of this pod, say, is no fault of the copy, which may be all that there is while the host is down.
  if git --git-dir="$copy" fsck --no-progress > /dev/null 2>&1; then
    echo "commit $GITSYNC_REF of the code: not checked out of the cache, whose copy is whole; the git host is asked" >&2
  else
    echo "commit $GITSYNC_REF of the code: the copy in the cache is damaged and was removed; the git host is asked" >&2
    rm -rf "$copy"
  fi
fi
git-sync

# keep: copies what was fetched beside its place and renames it, since other pods may do the same now.
keep() {
  mkdir -p "$CODE" &&
    incoming="$(mktemp -d "$CODE/incoming.XXXXXX")" &&
    cp -R "$GITSYNC_ROOT/.git" "$incoming/copy" &&
    { mv -T "$incoming/copy" "$copy" 2> /dev/null || [ -d "$copy" ]; }
}
if keep; then
  echo "commit $GITSYNC_REF of the code: fetched, and kept in the cache"
else
  echo "commit $GITSYNC_REF of the code: fetched, and not kept: the next pod needs the git host again" >&2
fi
rm -rf "${incoming:-}"
# The ten that were used last stay, for a rollback; leftovers of pods that were killed go with the others.
ls -1dt "$CODE"/* | tail -n +11 | while read -r old; do rm -rf "$old"; done
