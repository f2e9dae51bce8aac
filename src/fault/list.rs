//! All points and all planted faults, each with what it stands at or what it does wrong.

/// Names with a sentence.
type List = &'static [(&'static str, &'static str)];

/// Every point: its name, and where it stands.
pub const POINTS: List = &[
    // The store: `before` is inside the transaction, `after` is when it is on disk.
    ("store.migrate.before", "the tables are made, and not committed"),
    ("store.migrate.after", "the tables are there, and nothing is in them"),
    ("store.copy.before", "a copy of an older store is written, and has not its name"),
    ("store.copy.after", "the copy has its name, and nothing is changed yet"),
    ("store.acquire.before", "the lease is taken, and not committed"),
    ("store.acquire.after", "the lease is taken, and its holder does not know"),
    ("store.renew.before", "the lease is renewed, and not committed"),
    ("store.renew.after", "the lease is renewed, and its holder does not know"),
    ("store.release.before", "the lease is given back, and not committed"),
    ("store.release.after", "the lease is given back"),
    ("store.commit.before", "writes of a pass or a turn are made, and not committed"),
    ("store.commit.after", "writes are committed, and their writer does not know"),
    ("store.note.before", "a person's word is written, and not committed"),
    ("store.note.after", "a person's word is committed, and they do not know"),
    ("store.sweep.before", "what nothing needs is removed, and not committed"),
    ("store.sweep.after", "what nothing needs is gone"),
    ("store.rebuild.before", "a lost store is about to be made anew, beside its place"),
    ("store.rebuild.after", "an empty store stands beside the place of the lost one"),
    ("store.put.before", "a store that was made anew is whole, and not in its place"),
    ("store.put.after", "a store that was made anew is in its place, and nobody knows"),
    // Repositories.
    ("git.lock.after", "a mirror's lock is held, and nothing is done yet"),
    ("git.fetch.before", "a fetch has not begun"),
    ("git.fetch.after", "refs and objects are here, and nobody has looked at them"),
    ("git.swap.before", "a damaged mirror was cloned anew beside itself"),
    ("git.swap.between", "the damaged mirror is away, and the new one has not its name"),
    ("git.swap.after", "the new mirror has its name, and the old one is still there"),
    ("git.commit.before", "no object of a commit is written"),
    ("git.commit.after", "a commit is written, and no ref names it"),
    ("git.import.before", "no object of a large commit is written"),
    ("git.import.after", "a large commit is written, and no ref names it"),
    ("git.push.before", "a push has not begun"),
    ("git.push.after", "a push has arrived, and is not noted"),
    ("git.own.before", "a branch of a proposal is not pushed"),
    ("git.own.after", "a branch of a proposal is pushed, and nobody knows"),
    ("git.repack.before", "packs are not joined"),
    ("git.repack.after", "packs are joined, and open ones are not forgotten"),
    // The provider `files`, in a folder of this host.
    ("files.effect.before", "a file or folder is about to be written or removed"),
    ("files.effect.after", "a target's files are written or removed, and nobody knows"),
    // The provider `cloudformation`.
    ("aws.look.before", "something is about to be looked at"),
    ("aws.change.before", "any call that changes something is not made"),
    ("aws.change.after", "any call that changes something was answered"),
    ("aws.create.before", "a stack is not created"),
    ("aws.create.after", "a stack's creation has begun"),
    ("aws.changeset.before", "a change set is not made"),
    ("aws.changeset.after", "a change set is made"),
    ("aws.execute.before", "a change set is not executed"),
    ("aws.execute.after", "a change set's execution has begun"),
    ("aws.unprotect.before", "a stack that is to go is protected"),
    ("aws.unprotect.after", "a stack that is to go is not protected any more"),
    ("aws.delete.before", "a stack's deletion has not begun"),
    ("aws.delete.after", "a stack's deletion has begun"),
    ("aws.stop.before", "an update that takes too long is not stopped"),
    ("aws.stop.after", "an update that takes too long is being stopped"),
    ("aws.empty.before", "the empty stack of a preview is there"),
    ("aws.empty.after", "the empty stack of a preview is going"),
    ("aws.discard.before", "a change set that nobody needs is there"),
    ("aws.discard.after", "a change set that nobody needs is gone, and nobody knows"),
    ("aws.upload.before", "a large template is not in its bucket"),
    ("aws.upload.after", "a large template is in its bucket, and nothing uses it"),
    // A forge.
    ("forge.write.before", "something is about to be said"),
    ("forge.write.after", "something was said, and nobody knows"),
    ("forge.comment.after", "the comment stands, and its number is not noted"),
    ("forge.check.after", "a check stands, and its number is not noted"),
    ("forge.pull.after", "a pull request of vend's is open, and not noted"),
    ("forge.close.after", "a pull request of vend's is closed, and not noted"),
    ("forge.issue.after", "an issue of vend's is open, and not noted"),
    ("forge.settle.after", "an issue of vend's is closed, and not noted"),
    // A pass, step by step.
    ("read.parse", "a request's file is about to be read"),
    ("read.render", "a request is about to be rendered"),
    ("pass.read.before", "files are read and rendered, and nothing of it is kept"),
    ("pass.read.after", "what is desired is kept, and nothing is planned"),
    ("pass.plan.before", "a plan is made, and what it settles is not kept"),
    ("pass.plan.after", "what a plan settles is kept, and nothing is done"),
    ("pass.move.before", "a record has its former name"),
    ("pass.move.after", "a record has its new name, and nothing is said"),
    ("pass.forget.before", "what is gone already is still recorded"),
    ("pass.forget.after", "what is gone already is forgotten, and nothing is said"),
    ("pass.intent.before", "effects are chosen, and no intent is on disk"),
    ("pass.intent.after", "intents are on disk, and no provider knows"),
    ("pass.submit.before", "a provider is about to be asked for effects"),
    ("pass.submit.after", "a provider has answered, and nothing of it is kept"),
    ("pass.poll.before", "a provider is about to be asked about what is under way"),
    ("pass.poll.after", "a provider has told of what is under way, and nothing is kept"),
    ("pass.cancel.before", "a provider is about to be asked to stop"),
    ("pass.cancel.after", "a provider was asked to stop, and nothing is kept"),
    ("pass.preview.before", "a provider is about to be asked what it would do"),
    ("pass.preview.after", "a provider has told what it would do, and nothing is kept"),
    ("pass.ends.before", "ends are known, and not kept"),
    ("pass.ends.after", "ends are kept, and nothing is said"),
    ("pass.say.before", "statuses are made, and not kept"),
    ("pass.say.after", "statuses are kept, and not published"),
    ("pass.publish.before", "the commit of statuses is made, and not pushed"),
    ("pass.published.before", "statuses are published, and that is not noted"),
    ("pass.published.after", "statuses are published, and that is noted"),
    ("pass.expire.before", "the commit that removes files is made, and not pushed"),
    ("pass.expire.after", "files are removed, and that is not noted"),
    ("pass.told.before", "all is said, and of which commits is not noted"),
    ("pass.told.after", "all is said and noted"),
    ("pass.maintain.before", "the upkeep is done, and when is not noted"),
    ("pass.maintain.after", "the upkeep is done and noted"),
    ("pass.quiet.before", "a pass is done, and the next one does not know"),
    ("pass.quiet.after", "a pass is done, and the next one knows"),
    // A turn of whoever looks after pull requests.
    ("pull.keep.before", "what is known of a pull request is not kept"),
    ("pull.keep.after", "what is known of a pull request is kept"),
    ("pull.turn.before", "a turn is done, and when is not noted"),
    ("pull.turn.after", "a turn is done and noted"),
    ("pull.proposal.before", "what is to be proposed is not kept"),
    ("pull.proposal.after", "what is to be proposed is kept, and nothing is pushed"),
    ("pull.warn.before", "it is warned of an end, and that is not kept"),
    ("pull.warn.after", "it is warned of an end, and that is kept"),
    // What receivers are told.
    ("notify.keep.before", "a message is put together, and not kept"),
    ("notify.keep.after", "a message is kept, and not sent"),
    ("notify.send.before", "a message is about to be sent"),
    ("notify.send.after", "a message was sent, and is not noted as told"),
];

/// Every fault that can be planted: its name, and what is wrong then.
pub const PLANTED: List = &[
    ("intent-after-effect", "an intent is written once its effect was made"),
    ("token-anew", "each sending of a change has a token of its own"),
    ("unknown-is-failure", "a lost answer ends a change, as if nothing had happened"),
    ("approval-kept", "an approval is not used up by what it allowed"),
    ("epoch-unchecked", "who lost the lease writes to the store all the same"),
    ("lease-shared", "the lease is given to a second one while the first is alive"),
    ("error-is-absent", "what could not be looked at is taken to be not there"),
    ("rewrite-unseen", "any history is taken for the continuation of the last one"),
    ("no-folder-is-empty", "a folder that is gone is taken for one with nothing in it"),
    ("breaker-off", "any number of requests is deleted at once"),
    ("two-deletions-more", "two more requests are deleted at once than may be"),
    ("protection-ignored", "what is protected is deleted like anything else"),
    ("push-by-force", "branches are pushed over whatever is there"),
    ("loss-unasked", "nobody is asked about resources that are replaced or deleted"),
    ("owner-unchecked", "folders of another vend are taken for one's own"),
    ("secret-kept", "values of sensitive outputs are kept and told"),
    ("retry-at-once", "what failed is tried again without waiting"),
    ("commit-of-theirs-lost", "commits of people on a proposed branch are pushed over"),
    ("signature-unchecked", "a webhook is believed whoever signed it"),
    ("author-approves", "an author's approval of their own pull request counts"),
    ("fork-trusted", "what comes from a fork reaches providers without a word"),
    ("pull-request-unasked", "what was pushed directly is applied like what was reviewed"),
    ("review-binds-nothing", "more is done after a merge than was reviewed"),
    ("unsaid-forgotten", "what was done and not said before the end of a process is never said"),
    ("unpublished-forgotten", "statuses that could not be published are not tried again"),
    ("hand-edit-kept", "what a person writes over a status stays"),
    ("done-before-call", "what a provider is about to be asked for counts as done"),
    ("secret-in-error", "what an error repeats of a secret value is told"),
    ("webhook-null-panics", "a field of a webhook that holds `null` is a panic"),
];

/// Whether a list has a name; when the program is compiled, too.
pub const fn has(list: List, name: &str) -> bool {
    let mut at = 0;
    while at < list.len() {
        if same(list[at].0.as_bytes(), name.as_bytes()) {
            return true;
        }
        at += 1;
    }
    false
}

const fn same(a: &[u8], b: &[u8]) -> bool {
    if a.len() != b.len() {
        return false;
    }
    let mut at = 0;
    while at < a.len() {
        if a[at] != b[at] {
            return false;
        }
        at += 1;
    }
    true
}
