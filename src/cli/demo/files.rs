//! The sample catalog and the sample requests, inside the program. A test holds the list complete.

/// A file's path, with `/`, and its bytes.
pub type Embedded = (&'static str, &'static [u8]);

macro_rules! embedded {
    ($folder:literal, $($path:literal,)*) => {
        &[$(($path, include_bytes!(concat!("../../../", $folder, "/", $path)))),*]
    };
}

/// `sample-catalog/`, by paths below it.
pub const CATALOG: &[Embedded] = embedded![
    "sample-catalog",
    "README.md",
    "catalog.yaml",
    "environments/dev.yaml",
    "environments/local.yaml",
    "environments/prod.yaml",
    "environments/test.yaml",
    "templates/app-config/1.0.0/CHANGELOG.md",
    "templates/app-config/1.0.0/README.md",
    "templates/app-config/1.0.0/config.yaml.hbs",
    "templates/app-config/1.0.0/schema.json",
    "templates/app-config/1.0.0/template.yaml",
    "templates/app-config/1.0.0/tests/golden/strings/config/config.yaml",
    "templates/app-config/1.0.0/tests/mistakes.yaml",
    "templates/app-config/1.0.0/tests/strings.yaml",
    "templates/argocd-application/1.0.0/CHANGELOG.md",
    "templates/argocd-application/1.0.0/README.md",
    "templates/argocd-application/1.0.0/application.yaml.hbs",
    "templates/argocd-application/1.0.0/schema.json",
    "templates/argocd-application/1.0.0/template.yaml",
    "templates/argocd-application/1.0.0/tests/follows.yaml",
    "templates/argocd-application/1.0.0/tests/golden/follows/application/application.yaml",
    "templates/argocd-application/1.0.0/tests/mistakes.yaml",
    "templates/dynamodb-table/1.0.0/CHANGELOG.md",
    "templates/dynamodb-table/1.0.0/README.md",
    "templates/dynamodb-table/1.0.0/partials/key-schema.hbs",
    "templates/dynamodb-table/1.0.0/schema.json",
    "templates/dynamodb-table/1.0.0/stack.yaml.hbs",
    "templates/dynamodb-table/1.0.0/template.yaml",
    "templates/dynamodb-table/1.0.0/tests/golden/indexed/table/stack.json",
    "templates/dynamodb-table/1.0.0/tests/golden/plain/table/stack.json",
    "templates/dynamodb-table/1.0.0/tests/indexed.yaml",
    "templates/dynamodb-table/1.0.0/tests/mistakes.yaml",
    "templates/dynamodb-table/1.0.0/tests/plain.yaml",
    "templates/dynamodb-table/1.0.0/tests/rekeyed.yaml",
    "templates/feature-flags/1.0.0/CHANGELOG.md",
    "templates/feature-flags/1.0.0/README.md",
    "templates/feature-flags/1.0.0/flags.yaml.hbs",
    "templates/feature-flags/1.0.0/schema.json",
    "templates/feature-flags/1.0.0/template.yaml",
    "templates/feature-flags/1.0.0/tests/golden/typed/flags/flags.yaml",
    "templates/feature-flags/1.0.0/tests/mistakes.yaml",
    "templates/feature-flags/1.0.0/tests/typed.yaml",
    "templates/kubernetes-namespace/1.0.0/CHANGELOG.md",
    "templates/kubernetes-namespace/1.0.0/README.md",
    "templates/kubernetes-namespace/1.0.0/access/access.yaml.hbs",
    "templates/kubernetes-namespace/1.0.0/access/kustomization.yaml",
    "templates/kubernetes-namespace/1.0.0/namespace/kustomization.yaml",
    "templates/kubernetes-namespace/1.0.0/namespace/namespace.yaml.hbs",
    "templates/kubernetes-namespace/1.0.0/namespace/network-policy.yaml.hbs",
    "templates/kubernetes-namespace/1.0.0/namespace/quota.yaml.hbs",
    "templates/kubernetes-namespace/1.0.0/schema.json",
    "templates/kubernetes-namespace/1.0.0/template.yaml",
    "templates/kubernetes-namespace/1.0.0/tests/golden/small/access/access.yaml",
    "templates/kubernetes-namespace/1.0.0/tests/golden/small/access/kustomization.yaml",
    "templates/kubernetes-namespace/1.0.0/tests/golden/small/namespace/kustomization.yaml",
    "templates/kubernetes-namespace/1.0.0/tests/golden/small/namespace/namespace.yaml",
    "templates/kubernetes-namespace/1.0.0/tests/golden/small/namespace/network-policy.yaml",
    "templates/kubernetes-namespace/1.0.0/tests/golden/small/namespace/quota.yaml",
    "templates/kubernetes-namespace/1.0.0/tests/mistakes.yaml",
    "templates/kubernetes-namespace/1.0.0/tests/small.yaml",
    "templates/network/1.0.0/CHANGELOG.md",
    "templates/network/1.0.0/README.md",
    "templates/network/1.0.0/partials/nat-gateway.hbs",
    "templates/network/1.0.0/partials/way-out.hbs",
    "templates/network/1.0.0/partials/zone.hbs",
    "templates/network/1.0.0/schema.json",
    "templates/network/1.0.0/stack.yaml.hbs",
    "templates/network/1.0.0/template.yaml",
    "templates/network/1.0.0/tests/closed.yaml",
    "templates/network/1.0.0/tests/golden/closed/vpc/stack.json",
    "templates/network/1.0.0/tests/golden/nat-each/vpc/stack.json",
    "templates/network/1.0.0/tests/golden/one-nat/vpc/stack.json",
    "templates/network/1.0.0/tests/mistakes.yaml",
    "templates/network/1.0.0/tests/nat-each.yaml",
    "templates/network/1.0.0/tests/one-nat.yaml",
    "templates/network/1.0.0/tests/renumbered.yaml",
    "templates/postgres-database/1.0.0/CHANGELOG.md",
    "templates/postgres-database/1.0.0/README.md",
    "templates/postgres-database/1.0.0/schema.json",
    "templates/postgres-database/1.0.0/stack.yaml.hbs",
    "templates/postgres-database/1.0.0/template.yaml",
    "templates/postgres-database/1.0.0/tests/going.yaml",
    "templates/postgres-database/1.0.0/tests/golden/going/db/stack.json",
    "templates/postgres-database/1.0.0/tests/golden/kept/db/stack.json",
    "templates/postgres-database/1.0.0/tests/golden/small/db/stack.json",
    "templates/postgres-database/1.0.0/tests/kept.yaml",
    "templates/postgres-database/1.0.0/tests/mistakes.yaml",
    "templates/postgres-database/1.0.0/tests/shrunk.yaml",
    "templates/postgres-database/1.0.0/tests/small.yaml",
    "templates/sqs-queue/1.0.0/CHANGELOG.md",
    "templates/sqs-queue/1.0.0/README.md",
    "templates/sqs-queue/1.0.0/schema.json",
    "templates/sqs-queue/1.0.0/stack.yaml.hbs",
    "templates/sqs-queue/1.0.0/template.yaml",
    "templates/sqs-queue/1.0.0/tests/fifo.yaml",
    "templates/sqs-queue/1.0.0/tests/golden/fifo/queue/stack.json",
    "templates/sqs-queue/1.0.0/tests/golden/standard/queue/stack.json",
    "templates/sqs-queue/1.0.0/tests/mistakes.yaml",
    "templates/sqs-queue/1.0.0/tests/standard.yaml",
    "templates/sqs-queue/1.1.0/CHANGELOG.md",
    "templates/sqs-queue/1.1.0/README.md",
    "templates/sqs-queue/1.1.0/schema.json",
    "templates/sqs-queue/1.1.0/stack.yaml.hbs",
    "templates/sqs-queue/1.1.0/template.yaml",
    "templates/sqs-queue/1.1.0/tests/aged.yaml",
    "templates/sqs-queue/1.1.0/tests/fifo.yaml",
    "templates/sqs-queue/1.1.0/tests/golden/aged/queue/stack.json",
    "templates/sqs-queue/1.1.0/tests/golden/fifo/queue/stack.json",
    "templates/sqs-queue/1.1.0/tests/mistakes.yaml",
    "templates/sqs-queue/1.1.0/tests/upgrade.yaml",
    "templates/static-website/1.0.0/CHANGELOG.md",
    "templates/static-website/1.0.0/README.md",
    "templates/static-website/1.0.0/schema.json",
    "templates/static-website/1.0.0/stack.yaml.hbs",
    "templates/static-website/1.0.0/template.yaml",
    "templates/static-website/1.0.0/tests/golden/internal/site/stack.json",
    "templates/static-website/1.0.0/tests/golden/opening-soon/site/stack.json",
    "templates/static-website/1.0.0/tests/internal.yaml",
    "templates/static-website/1.0.0/tests/mistakes.yaml",
    "templates/static-website/1.0.0/tests/opening-soon.yaml",
    "templates/virtual-machine/1.0.0/CHANGELOG.md",
    "templates/virtual-machine/1.0.0/README.md",
    "templates/virtual-machine/1.0.0/schema.json",
    "templates/virtual-machine/1.0.0/stack.yaml.hbs",
    "templates/virtual-machine/1.0.0/template.yaml",
    "templates/virtual-machine/1.0.0/tests/golden/open/machine/stack.json",
    "templates/virtual-machine/1.0.0/tests/golden/pinned/machine/stack.json",
    "templates/virtual-machine/1.0.0/tests/mistakes.yaml",
    "templates/virtual-machine/1.0.0/tests/open.yaml",
    "templates/virtual-machine/1.0.0/tests/pinned.yaml",
    "templates/web-service/1.0.0/CHANGELOG.md",
    "templates/web-service/1.0.0/README.md",
    "templates/web-service/1.0.0/app/deployment.yaml.hbs",
    "templates/web-service/1.0.0/app/kustomization.yaml",
    "templates/web-service/1.0.0/app/service.yaml.hbs",
    "templates/web-service/1.0.0/schema.json",
    "templates/web-service/1.0.0/template.yaml",
    "templates/web-service/1.0.0/tests/basic.yaml",
    "templates/web-service/1.0.0/tests/golden/basic/app/deployment.yaml",
    "templates/web-service/1.0.0/tests/golden/basic/app/kustomization.yaml",
    "templates/web-service/1.0.0/tests/golden/basic/app/service.yaml",
    "templates/web-service/1.0.0/tests/golden/public/app/deployment.yaml",
    "templates/web-service/1.0.0/tests/golden/public/app/kustomization.yaml",
    "templates/web-service/1.0.0/tests/golden/public/app/service.yaml",
    "templates/web-service/1.0.0/tests/mistakes.yaml",
    "templates/web-service/1.0.0/tests/public.yaml",
    "templates/web-service/1.1.0/CHANGELOG.md",
    "templates/web-service/1.1.0/README.md",
    "templates/web-service/1.1.0/app/deployment.yaml.hbs",
    "templates/web-service/1.1.0/app/kustomization.yaml",
    "templates/web-service/1.1.0/app/service.yaml.hbs",
    "templates/web-service/1.1.0/schema.json",
    "templates/web-service/1.1.0/template.yaml",
    "templates/web-service/1.1.0/tests/basic.yaml",
    "templates/web-service/1.1.0/tests/golden/basic/app/deployment.yaml",
    "templates/web-service/1.1.0/tests/golden/basic/app/kustomization.yaml",
    "templates/web-service/1.1.0/tests/golden/basic/app/service.yaml",
    "templates/web-service/1.1.0/tests/golden/public/app/deployment.yaml",
    "templates/web-service/1.1.0/tests/golden/public/app/kustomization.yaml",
    "templates/web-service/1.1.0/tests/golden/public/app/service.yaml",
    "templates/web-service/1.1.0/tests/golden/scaled/app/deployment.yaml",
    "templates/web-service/1.1.0/tests/golden/scaled/app/kustomization.yaml",
    "templates/web-service/1.1.0/tests/golden/scaled/app/service.yaml",
    "templates/web-service/1.1.0/tests/mistakes.yaml",
    "templates/web-service/1.1.0/tests/public.yaml",
    "templates/web-service/1.1.0/tests/scaled.yaml",
    "templates/web-service/1.1.0/tests/upgrade.yaml",
];

/// `sample-requests/`, by paths below it.
pub const REQUESTS: &[Embedded] = embedded![
    "sample-requests",
    "CODEOWNERS",
    "README.md",
    "requests/orders/dev/orders-events.yaml",
    "requests/orders/dev/orders.yaml",
    "requests/orders/dev/shop-front.yaml",
    "requests/orders/dev/shop.yaml",
    "requests/orders/dev/storefront-config.yaml",
    "requests/orders/dev/storefront.yaml",
    "requests/orders/prod/orders-events.yaml",
    "requests/orders/prod/orders.yaml",
    "requests/orders/prod/storefront.yaml",
    "requests/orders/test/storefront.yaml",
    "requests/payments/dev/checkout-api.yaml",
    "requests/payments/dev/checkout.yaml",
    "requests/payments/dev/ledger.yaml",
    "requests/payments/prod/checkout-api.yaml",
    "requests/payments/prod/checkout-flags.yaml",
    "requests/payments/test/ledger.yaml",
    "requests/payments/test/reconciliation.yaml",
    "requests/platform/dev/network.yaml",
    "requests/platform/dev/storefront-sync.yaml",
    "requests/platform/prod/network.yaml",
    "requests/platform/prod/storefront-sync.yaml",
    "requests/platform/test/network.yaml",
    "vend.yaml",
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::*;

    fn below(folder: &Path, root: &Path, found: &mut BTreeSet<String>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                below(&path, root, found);
            } else {
                found.insert(path.strip_prefix(root).unwrap().to_str().unwrap().to_owned());
            }
        }
    }

    #[test]
    fn every_sample_is_in_the_program() {
        for (folder, list) in [("sample-catalog", CATALOG), ("sample-requests", REQUESTS)] {
            let root = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
            let mut found = BTreeSet::new();
            below(&root, &root, &mut found);
            let listed: BTreeSet<String> = list.iter().map(|(p, _)| (*p).to_owned()).collect();
            assert_eq!(listed, found, "src/cli/demo/files.rs and {folder}/ differ");
        }
    }
}
